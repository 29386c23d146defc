"""Tasks: the classes that a network distinguishes, and the manifest labels in each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from agrm_study.study.errors import did_you_mean
from agrm_study.study.labels import LABELS, label_problem, plain_label
from agrm_study.study.translate import Rule

MIN_CLASSES: Final = 2
MAX_CLASSES: Final = 50


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Use `make_task` to create a task; it checks the rules and orders the classes.

    Attributes:
        name: Name of the task in the study file, in tables and in records; never part of a trial's identity.
        classes: Class names by class index, 2 to 50. A positive class has index 1.
        labels: Manifest labels of each class, sorted. Clips with other labels are ignored.
        positive: The class that screening should detect (sensitivity, PR curve); None for tasks without a positive
            class.
        ordered: Whether the classes are in ascending order (CORN, quadratic weighted kappa, mean absolute error).
        scale: Class indices in ascending order for ordinal losses, if this order differs from the order of `classes`.
    """

    name: str
    classes: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    positive: str | None = None
    ordered: bool = False
    scale: tuple[int, ...] | None = field(default=None, compare=False, repr=False)

    @property
    def n_classes(self) -> int:
        """Number of classes, K."""
        return len(self.classes)

    @cached_property
    def class_of(self) -> Mapping[str, int]:
        """Class index by manifest label."""
        return {label: index for index, labels in enumerate(self.labels) for label in labels}

    def class_index(self, label: str | None) -> int | None:
        """Class index of a manifest label; None for labels that the task ignores, and if `label` is None."""
        return None if label is None else self.class_of.get(label)

    def has(self, label: str) -> bool:
        """Whether a manifest label belongs to one of the classes."""
        return label in self.class_of

    @property
    def order(self) -> tuple[int, ...] | None:
        """Class indices in ascending order, for ordinal losses; None for more than two classes without an order."""
        if self.scale is not None:
            return self.scale
        return tuple(range(self.n_classes)) if self.ordered or self.n_classes == MIN_CLASSES else None

    @cached_property
    def mapping(self) -> dict[str, Any]:
        """The task as in a study file, without its name: plain JSON values."""
        return {
            "classes": {name: list(labels) for name, labels in zip(self.classes, self.labels, strict=True)},
            "positive": self.positive,
            "ordered": self.ordered,
        }

    @cached_property
    def identity(self) -> Any:
        """Properties that are part of a trial's identity, as plain JSON values: the classes in order with their labels,
        the positive class and the order; for the classes of a built-in task, the name of that task."""
        if self.built_in is not None:
            return self.built_in
        return self.mapping | {"classes": [[name, list(labels)] for name, labels in self.mapping["classes"].items()]}

    @cached_property
    def built_in(self) -> str | None:
        """Name of the built-in task with the same classes; None for any other task."""
        return next((name for name, known in BUILT_IN.items() if self.same_as(known)), None)

    def same_as(self, other: Task) -> bool:
        """Whether two tasks are equal except for their names: classes in order, labels, positive class, order."""
        return replace(self, name=other.name) == other

    @property
    def title(self) -> str:
        """The name of the task as a heading."""
        return task_title(self.name)


BUILT_IN: Final[Mapping[str, Task]] = {
    "two_class": Task(
        name="two_class",
        classes=("normal", "abnormal"),
        labels=(("normal",), ("abnormal", "genu_valgum", "genu_varum")),
        positive="abnormal",
    ),
    "three_class": Task(
        name="three_class",
        classes=LABELS,
        labels=tuple((label,) for label in LABELS),
        scale=(1, 0, 2),  # by knee angle: varum, normal, valgum
    ),
}
"""The tasks of the paper, by name."""


def make_task(
    name: str,
    classes: Mapping[str, tuple[str, ...] | list[str]],
    *,
    positive: str | None = None,
    ordered: bool = False,
) -> Task:
    """Create a task from its classes and their labels.

    A positive class gets index 1, regardless of the given order.

    Raises:
        Rule: If a rule of `check_classes`, `check_positive` or `check_ordered` is violated.
    """
    check_classes(classes)
    check_positive(positive, classes)
    check_ordered(ordered, classes)
    names = sorted(classes, key=lambda each: each == positive) if positive is not None else list(classes)
    task = Task(
        name=name,
        classes=tuple(names),
        labels=tuple(tuple(sorted(classes[each])) for each in names),
        positive=positive,
        ordered=ordered,
    )
    known = task.built_in
    return task if known is None else replace(task, scale=BUILT_IN[known].scale)


def check_classes(classes: Mapping[str, tuple[str, ...] | list[str]]) -> None:
    """Check the classes of a task.

    Raises:
        Rule: If there are fewer than 2 or more than 50 classes, a name or a label cannot be printed in a table, a class
            has no label, or a label is in two classes.
    """
    if not MIN_CLASSES <= len(classes) <= MAX_CLASSES:
        given = f"has {len(classes)}" if len(classes) != 1 else f"has one, {next(iter(classes))}"
        raise Rule(f"a task requires {MIN_CLASSES} to {MAX_CLASSES} classes, {given}", show=False)
    owner: dict[str, str] = {}
    for name, labels in classes.items():
        if problem := label_problem(name) or (
            None if plain_label(name) == name else "must not begin or end with a space"
        ):
            raise Rule(f"the name of a class {problem}: {name!r}", show=False)
        if not labels:
            raise Rule(f"the class {name} has no label", allowed="a list of labels of the manifest", show=False)
        for label in labels:
            if problem := label_problem(label):
                raise Rule(f"a label of the class {name} {problem}", show=False)
            if label in owner:
                both = f"twice in {name}" if owner[label] == name else f"in two classes, {owner[label]} and {name}"
                raise Rule(f"the label {label} is {both}", hint="A label belongs to one class.", show=False)
            owner[label] = name


def check_positive(positive: str | None, classes: Mapping[str, Any]) -> None:
    """Check the positive class of a task.

    Raises:
        Rule: If it is not one of the classes, or there are more than two classes.
    """
    if positive is None:
        return
    if positive not in classes:
        raise Rule("must be one of the classes", allowed=", ".join(classes), hint=did_you_mean(positive, list(classes)))
    if len(classes) > MIN_CLASSES:
        raise Rule(
            f"requires a task with two classes; this task has {len(classes)}",
            hint="Omit it: one-versus-rest curves and counts do not need a positive class.",
        )


def check_ordered(ordered: bool, classes: Mapping[str, Any]) -> None:
    """Check whether a task can be ordered.

    Raises:
        Rule: If the task has two classes, for which an order is meaningless.
    """
    if ordered and len(classes) == MIN_CLASSES:
        raise Rule(
            "requires at least three classes: the order of two classes has no effect",
            hint="Specify the class to detect with `positive`.",
        )


def task_from_plain(value: Any) -> Task:
    """A task from plain JSON values: the name of a built-in task, or the output of `task_to_plain`.

    Raises:
        Rule: If the value is neither.
    """
    if isinstance(value, Task):
        return value
    if isinstance(value, str):
        if value in BUILT_IN:
            return BUILT_IN[value]
        allowed = ", ".join(BUILT_IN)
        raise Rule(f"there is no task {value!r}", allowed=allowed, hint=did_you_mean(value, BUILT_IN))
    try:
        return make_task(
            str(value["name"]), value["classes"], positive=value["positive"], ordered=value["ordered"] is True
        )
    except (KeyError, TypeError, AttributeError):
        raise Rule(
            "is not a task", allowed="the name of a built-in task, or name, classes, positive and ordered"
        ) from None


def task_to_plain(task: Task) -> Any:
    """A task as plain JSON values: the name of a built-in task, otherwise its name and its mapping."""
    return task.name if BUILT_IN.get(task.name) == task else {"name": task.name, **task.mapping}


TaskField = Annotated[
    Task,
    PlainValidator(task_from_plain),
    PlainSerializer(task_to_plain),
    WithJsonSchema({"anyOf": [{"enum": list(BUILT_IN)}, {"type": "object"}]}),
]
"""Type of a recipe field that contains a task."""

_TITLES: Final = {"two_class": "Two-class", "three_class": "Three-class"}
_CLASS_TITLES: Final = {
    "normal": "Normal",
    "abnormal": "Abnormal",
    "genu_varum": "Genu varum",
    "genu_valgum": "Genu valgum",
}


def task_title(name: str) -> str:
    """The name of a task as a heading."""
    words = name.replace("_", " ")
    return _TITLES.get(name, words[:1].upper() + words[1:])


def task_words(name: str) -> str:
    """The name of a task within a sentence."""
    return _TITLES[name].lower() if name in _TITLES else name.replace("_", " ")


def class_title(name: str) -> str:
    """The name of a class or a label as a heading: the user's text, with underscores replaced by spaces."""
    return _CLASS_TITLES.get(name, name.replace("_", " "))


def class_words(name: str) -> str:
    """The name of a class or a label within a sentence."""
    return name.replace("_", " ")
