"""The `tasks` of a first study file, derived from the labels of a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agrm_study.study.counted import counted
from agrm_study.study.data_settings import SplitFractions
from agrm_study.study.errors import InputError
from agrm_study.study.labels import LABELS
from agrm_study.study.tasks import BUILT_IN, MAX_CLASSES, MIN_CLASSES

FEWEST: Final = 3
"""Minimum number of subjects of a class such that the training, validation and test parts each have one."""
FEW: Final = 10
"""Number of subjects of a class below which intervals are wide for every method."""
NO_THREE_CLASS: Final = (
    "No three-class task: training, validation and test each require subjects of all three labels, and other labels "
    "are not allowed."
)
OWN: Final = "groups"
"""Name of the task that contains all labels."""

Tasks = tuple[tuple[str, ...], tuple[str, ...]]
"""Lines of the `tasks` section, and remarks for the user."""


def line(text: str, comment: str) -> str:
    """A line with its comment, aligned with the other comments if the line is short enough."""
    return f"{text.ljust(31)} # {comment}\n"


def quoted(name: str) -> str:
    """Text as a YAML scalar, quoted if YAML would otherwise parse it as a different value."""
    from agrm_study.study.document import parse_yaml

    try:
        plain = parse_yaml(f"[{name}]").value == [name] and parse_yaml(f"{name}: 0").value == {name: 0}
    except InputError:
        plain = False
    return name if plain else json.dumps(name, ensure_ascii=False)


def built_in_lines(names: tuple[str, ...]) -> tuple[str, ...]:
    """The `tasks` section with built-in tasks."""
    both = "normal / abnormal, normal / genu varum / genu valgum"
    return (line(f"tasks: [{', '.join(names)}]", both if len(names) > 1 else "the tasks that the labels allow"),)


def paper_tasks(counts: Mapping[str, int], where: Path) -> Tasks:
    """The built-in tasks that data with the paper's labels allow.

    Raises:
        InputError: If there are too few subjects for any built-in task.
    """
    normal, others = counts["normal"], [count for label, count in counts.items() if label != "normal"]
    if normal < FEWEST or sum(others) < FEWEST:
        raise InputError(
            f"a study requires at least {FEWEST} normal and {FEWEST} abnormal subjects",
            where=where,
            field="label",
            given=", ".join(f"{counts[label]} {label}" for label in dict.fromkeys((*LABELS, *counts))),
            hint="Label more subjects, and index the videos again.",
        )
    if in_every_part(counts) == set(LABELS):
        return built_in_lines(tuple(BUILT_IN)), ()
    return built_in_lines(("two_class",)), (NO_THREE_CLASS,)


def own_task(counts: Mapping[str, int], where: Path) -> Tasks:
    """A task with one class for each label that has subjects in every part of the split.

    Raises:
        InputError: If there are fewer than 2 or more than 50 such labels.
    """
    there = in_every_part(counts)
    usable = sorted(there)
    if not MIN_CLASSES <= len(usable) <= MAX_CLASSES:
        raise InputError(
            f"a study requires {MIN_CLASSES} to {MAX_CLASSES} labels with a subject in training, validation and test",
            where=where,
            field="label",
            given=f"{len(usable)} such labels of {len(counts)}",
            hint="Label more subjects and index the videos again, or write `tasks` with several labels in one class.",
        )
    rare = sorted(set(counts) - there)
    lines = [
        line("tasks:", "the classes to predict; here, one per label"),
        f"  {OWN}:\n",
        line("    classes:", "CLASS: [LABEL, …]; several labels form one class"),
        *(f"      {quoted(label)}: [{quoted(label)}]\n" for label in usable),
        *(line(f"      # {quoted(label)}: [{quoted(label)}]", _subjects(counts[label])) for label in rare),
    ]
    if len(usable) == MIN_CLASSES:
        lines.append(
            line(f"    # positive: {quoted(usable[1])}", "the class to detect; adds sensitivity and the ROC curve")
        )
    else:
        lines.append(line("    # ordered: true", "if the classes are in ascending order; adds kappa and the loss corn"))
    return tuple(lines), tuple(f"Left out: the label {label}, {_subjects(counts[label])}." for label in rare)


def in_every_part(counts: Mapping[str, int]) -> set[str]:
    """The labels that have a subject in each of training, validation and test of the default split."""
    from agrm_study.training.data.strata import stratified_counts

    labels = sorted(label for label in counts if counts[label])
    shares = SplitFractions()
    table = stratified_counts([counts[label] for label in labels], (shares.train, shares.val, shares.test))
    return {label for label, row in zip(labels, table, strict=True) if row.all()}


def _subjects(count: int) -> str:
    return f"too few for every part of the split ({counted(count, 'subject')})"
