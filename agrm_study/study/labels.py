"""Labels of the data, and the classes of each task."""

from __future__ import annotations

from typing import Literal

Task = Literal["two_class", "three_class"]

LABELS: tuple[str, ...] = ("normal", "genu_varum", "genu_valgum")
"""The valid labels of a manifest."""

CLASSES: dict[str, tuple[str, ...]] = {
    "two_class": ("normal", "abnormal"),
    "three_class": LABELS,
}
"""Class names by task; the position is the class index. ``abnormal`` (index 1) is the positive class."""


def class_index(label: str, task: str) -> int:
    """Index of a manifest label in a task (two-class: genu varum and genu valgum are both abnormal).

    Raises:
        ValueError: For an unknown label or task.
    """
    if task not in CLASSES:
        raise ValueError(f"task must be one of {', '.join(CLASSES)}; given {task!r}")
    if label not in LABELS:
        raise ValueError(f"label must be one of {', '.join(LABELS)}; given {label!r}")
    index = LABELS.index(label)
    return min(index, 1) if task == "two_class" else index
