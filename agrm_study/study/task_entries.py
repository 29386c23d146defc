"""The `tasks` of a study file: built-in tasks by name, and tasks with user-defined classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from agrm_study.study.errors import did_you_mean
from agrm_study.study.labels import MAX_LABEL, plain_label
from agrm_study.study.section import Section, integer_as_text
from agrm_study.study.tasks import (
    BUILT_IN,
    MAX_CLASSES,
    MIN_CLASSES,
    Task,
    check_classes,
    check_ordered,
    check_positive,
    make_task,
)
from agrm_study.study.translate import Rule

MAX_TASK_NAME = 40
NAME_PATTERN = rf"^[A-Za-z][A-Za-z0-9_-]{{0,{MAX_TASK_NAME - 1}}}$"
_OWN = "`tasks: {NAME: {classes: {CLASS: [LABEL, …], …}}}` specifies a user-defined task."


def _labels(value: Any) -> Any:
    """The labels of a class as a list; a single label may be given without brackets."""
    given = value if isinstance(value, list | tuple) else [value]
    labels = tuple(map(integer_as_text, given))
    for label in labels:
        if not isinstance(label, str):
            raise Rule("must be a list of labels", allowed="[LABEL, …], each as text", hint="Quote the label.")
    return tuple(plain_label(label) for label in labels)


Labels = Annotated[
    tuple[str, ...],
    BeforeValidator(_labels),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}, "minItems": 1, "uniqueItems": True},
            ]
        }
    ),
]


class TaskEntry(Section):
    """One task as written in the study file; empty for a built-in task."""

    classes: dict[str, Labels] | None = Field(
        default=None,
        json_schema_extra={
            "minProperties": MIN_CLASSES,
            "maxProperties": MAX_CLASSES,
            "propertyNames": {"maxLength": MAX_LABEL},
        },
    )
    """Mapping from class names to labels of the manifest: 2 to 50 classes, in the order of tables and figures. Clips
    with other labels are ignored."""
    positive: Annotated[str, BeforeValidator(integer_as_text)] | None = None
    """The positive class of a two-class task; enables sensitivity, specificity, ROC and PR curves."""
    ordered: bool = False
    """Whether the classes are in ascending order; enables the loss `corn`, quadratic weighted kappa and mean absolute
    error."""

    @field_validator("classes")
    @classmethod
    def _classes(cls, value: dict[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]] | None:
        if value is not None:
            check_classes(value)
        return value

    @field_validator("positive")
    @classmethod
    def _positive(cls, value: str | None, info: ValidationInfo) -> str | None:
        check_positive(value, info.data.get("classes") or ({} if value is None else {value: ()}))
        return value

    @field_validator("ordered")
    @classmethod
    def _ordered(cls, value: bool, info: ValidationInfo) -> bool:
        check_ordered(value, info.data.get("classes") or {})
        return value


def _listed(value: Any) -> Any:
    """The tasks as a mapping; a list contains names of built-in tasks.

    Raises:
        Rule: If a task is unknown or repeated, or there is no task.
    """
    allowed = f"a list of {', '.join(BUILT_IN)}, or user-defined tasks as NAME: {{classes: …}}"
    if not isinstance(value, Mapping | list | tuple):
        raise Rule("must be a list", allowed=allowed)
    if not value:
        raise Rule("a study requires at least one task", allowed=allowed)
    if isinstance(value, Mapping):
        for name in value:
            if not re.fullmatch(NAME_PATTERN, name):
                allowed = f"up to {MAX_TASK_NAME} letters, digits, `-` and `_`, beginning with a letter"
                raise Rule(f"{name!r} is not a valid task name", allowed=allowed, show=False)
        return {name: {} if entry is None else entry for name, entry in value.items()}
    for position, task in enumerate(value):
        if not isinstance(task, str) or task not in BUILT_IN:
            hint = did_you_mean(str(task), BUILT_IN) or _OWN
            raise Rule(f"there is no task {task!r}", allowed=", ".join(BUILT_IN), hint=hint)
        if task in value[:position]:
            raise Rule(f"duplicate task {task}", allowed=allowed)
    return {task: {} for task in value}


def _tasks(entries: dict[str, TaskEntry]) -> dict[str, TaskEntry]:
    """Check that each entry defines a task, and that no two entries define the same task.

    Raises:
        Rule: If an entry redefines a built-in task or has no classes, or two entries are equal.
    """
    tasks = list(tasks_of(entries).values())
    for position, task in enumerate(tasks):
        for other in tasks[:position]:
            if task.same_as(other):
                raise Rule(
                    f"{other.name} and {task.name} have the same classes and would share all training runs",
                    hint="Keep one of the two.",
                    show=False,
                )
    return entries


def tasks_of(entries: Mapping[str, TaskEntry]) -> dict[str, Task]:
    """The tasks of a study by name, in the order of its file.

    Raises:
        Rule: If an entry redefines a built-in task or has no classes.
    """
    tasks: dict[str, Task] = {}
    for name, entry in entries.items():
        if name in BUILT_IN:
            if entry != TaskEntry():
                rule = f"{name} is a built-in task and cannot be changed"
                raise Rule(rule, hint="Choose a different name for your task.", show=False)
            tasks[name] = BUILT_IN[name]
        elif entry.classes is None:
            rule, allowed = f"the task {name} requires classes", f"built-in: {', '.join(BUILT_IN)}"
            raise Rule(rule, allowed=allowed, hint=did_you_mean(name, BUILT_IN) or _OWN, show=False)
        else:
            tasks[name] = make_task(name, entry.classes, positive=entry.positive, ordered=entry.ordered)
    return tasks


TaskEntries = Annotated[dict[str, TaskEntry], BeforeValidator(_listed), AfterValidator(_tasks)]
"""The tasks of a study file, by name."""


def entries_to_plain(tasks: Mapping[str, Task]) -> Any:
    """Tasks in the form of a study file: a list of names if all are built in, otherwise a mapping."""
    if all(BUILT_IN.get(name) == task for name, task in tasks.items()):
        return list(tasks)
    return {name: {} if BUILT_IN.get(name) == task else dict(task.mapping) for name, task in tasks.items()}
