"""Table of subjects by class, with sex and age (Table 1 of the paper)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import pandas as pd

from agrm_study.report import notes
from agrm_study.report.evidence import Evidence
from agrm_study.report.measure import Measurements
from agrm_study.report.study_info import StudyInfo
from agrm_study.report.table import Column, Entry, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.wording import MISSING
from agrm_study.study.labels import LABELS
from agrm_study.study.tasks import BUILT_IN, Task, class_title

LABELLED_PARTS = ("train", "val", "test")


def subjects_of(evidence: Evidence) -> tuple[pd.DataFrame, int]:
    """The `subjects` records of one split of this study, and the number of splits."""
    rows = evidence.subjects
    used = set(evidence.trials["split_fingerprint"].dropna()) & set(rows["split_fingerprint"])
    prints = sorted(used or set(rows["split_fingerprint"]))
    return rows[rows["split_fingerprint"] == prints[0]] if prints else rows, len(prints)


def labels_in_order(study: StudyInfo, present: Iterable[str]) -> tuple[str, ...]:
    """The labels of a data set: first the paper's labels, or the labels of the study's tasks in the order of their
    classes, then all others."""
    found = set(present)
    first = LABELS if found <= set(LABELS) else ()
    mapped = [label for task in study.tasks.values() for labels in task.labels for label in labels if label in found]
    return tuple(dict.fromkeys((*first, *mapped, *sorted(found))))


def merging_tasks(study: StudyInfo, labels: Sequence[str]) -> tuple[Task, ...]:
    """The tasks whose classes are listed alongside the labels: the paper's two-class task for the paper's labels,
    otherwise the study's tasks that merge, rename or ignore labels."""
    if set(labels) <= set(LABELS):
        return (BUILT_IN["two_class"],)
    return tuple(
        task
        for task in study.tasks.values()
        if [(label,) for label in labels] != [*task.labels] or task.classes != labels
    )


def class_of(task: Task, label: str) -> str:
    """The class of a label as a heading; a dash for a label that the task ignores."""
    index = task.class_index(label)
    return MISSING if index is None else class_title(task.classes[index])


class ClassCounts(TableKind):
    """Labelled subjects by class, with sex and age if the manifest contains them."""

    name: ClassVar[str] = "class_counts"
    question: ClassVar[str] = "How many subjects of each class are there?"

    def unfit(self, m: Measurements) -> str | None:
        return "the records do not contain any subjects" if m.evidence.subjects.empty else None

    def build(self, m: Measurements) -> Table:
        rows, _ = subjects_of(m.evidence)
        people = rows[rows["split"].isin(LABELLED_PARTS) & rows["label"].notna()]
        labels = labels_in_order(m.evidence.study, people["label"])
        merging = merging_tasks(m.evidence.study, labels)
        body = [
            self._row(class_title(c), [class_of(task, c) for task in merging], people[people["label"] == c])
            for c in labels
        ]
        body.append(self._row("Total", [""] * len(merging), people))
        return Table(
            name=self.name,
            caption="Labelled subjects by class.",
            columns=(
                Column(key="label", title="Class", align="left"),
                *(Column(key=task.name, title=f"{task.title} label", align="left") for task in merging),
                Column(key="subjects", title="Subjects"),
                Column(key="clips", title="Clips"),
                Column(key="female", title="Female"),
                Column(key="male", title="Male"),
                Column(key="age", title="Age (years)"),
            ),
            rows=tuple(body),
            notes=(
                "Age: mean ± sample standard deviation (ddof 1) of the subjects whose age is known.",
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )

    def _row(self, title: str, classes: Sequence[str], people: pd.DataFrame) -> Row:
        known = people["sex"].notna().any()
        age = people["age"].dropna()
        spread = f" ± {age.std(ddof=1):.1f}" if len(age) > 1 else ""
        entries = (
            words(title),
            *map(words, classes),
            whole(len(people)),
            whole(int(people["clips"].fillna(1).sum())),
            whole(int((people["sex"] == "female").sum()) if known else None),
            whole(int((people["sex"] == "male").sum()) if known else None),
            Entry(text=f"{age.mean():.1f}{spread}", value=float(age.mean())) if len(age) else Entry(text=MISSING),
        )
        return Row(entries=entries)
