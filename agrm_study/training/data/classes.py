"""Subject counts by class and part of the split, and checks for missing classes and unknown or ignored labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from agrm_study.study.counted import counted, some
from agrm_study.study.errors import did_you_mean
from agrm_study.study.tasks import Task
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import Part, Split

LABELLED_PARTS: Final[dict[Part, str]] = {"train": "training", "val": "validation", "test": "test"}
"""Names of the labelled parts for messages."""
SHOWN: Final = 12
"""Maximum number of classes and labels listed in a message."""


def subjects_by_class(split: Split, manifest: Manifest, task: Task) -> dict[Part, tuple[int, ...]]:
    """Number of subjects of each class, by class index, in each labelled part."""
    found: dict[Part, tuple[int, ...]] = {}
    for part in LABELLED_PARTS:
        index_of = {
            clip.subject_id: task.class_index(clip.label) for clip in map(manifest.by_id.__getitem__, split.clips(part))
        }
        counts = Counter(index_of.values())
        found[part] = tuple(counts[index] for index in range(task.n_classes))
    return found


def missing_classes(split: Split, manifest: Manifest, task: Task) -> str | None:
    """Message, with counts, if a part of the split has no subject of a class; otherwise None."""
    counts = subjects_by_class(split, manifest, task)
    lacking = [
        f"{words} part: {some(names, SHOWN)}"
        for part, words in LABELLED_PARTS.items()
        if (names := [name for name, count in zip(task.classes, counts[part], strict=True) if not count])
    ]
    if not lacking:
        return None
    rows = [
        f"{name} {' / '.join(str(counts[part][index]) for part in LABELLED_PARTS)}"
        for index, name in enumerate(task.classes)
    ]
    more = f", and {len(rows) - SHOWN} more classes" if len(rows) > SHOWN else ""
    return (
        f"every part requires a subject of each class of the task {task.name}; missing in the {'; '.join(lacking)}. "
        f"Subjects by class ({' / '.join(LABELLED_PARTS.values())}): {', '.join(rows[:SHOWN])}{more}"
    )


def unknown_labels(manifest: Manifest, task: Task) -> list[tuple[str, str, str | None]]:
    """Labels of a task that do not occur in the manifest: class, label, and a hint with the most similar label."""
    known = {clip.label for clip in manifest.labelled if clip.label is not None}
    return [
        (name, label, did_you_mean(label, known))
        for name, labels in zip(task.classes, task.labels, strict=True)
        for label in labels
        if label not in known
    ]


def labels_text(labels: Iterable[str]) -> str:
    """Labels for a message; a long list is truncated."""
    return some(sorted(labels), SHOWN)


def ignored_labels(manifest: Manifest, split: Split, task: Task) -> str | None:
    """Note on the subjects in a split whose label the task ignores; None if there are none."""
    clips = (clip for part in LABELLED_PARTS for clip in map(manifest.by_id.__getitem__, split.clips(part)))
    return ignored_note({clip.subject_id: clip.label for clip in clips if clip.label is not None}, task)


def ignored_note(label_of: Mapping[str, str], task: Task) -> str | None:
    """Note on the subjects whose label the task ignores, given the label of each subject; None if there are none."""
    ignored = [label for label in label_of.values() if not task.has(label)]
    if not ignored:
        return None
    counts = Counter(ignored)
    named = ", ".join(f"{label} ({count})" for label, count in sorted(counts.items())[:SHOWN])
    more = f" and {len(counts) - SHOWN} more labels" if len(counts) > SHOWN else ""
    subjects = counted(len(ignored), "subject")
    return f"The task {task.name} ignores {subjects} with other labels: {named}{more}."
