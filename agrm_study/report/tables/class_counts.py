"""Table of the subjects by class, with sex and age (Table 1 of the paper)."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from agrm_study.report import notes
from agrm_study.report.evidence import Evidence
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.wording import MISSING
from agrm_study.study.labels import LABELS
from agrm_study.study.tasks import class_title

LABELLED_PARTS = ("train", "val", "test")


def subjects_of(evidence: Evidence) -> tuple[pd.DataFrame, int]:
    """The `subjects` records of one split of this study, and the number of splits."""
    rows = evidence.subjects
    used = set(evidence.trials["split_fingerprint"].dropna()) & set(rows["split_fingerprint"])
    prints = sorted(used or set(rows["split_fingerprint"]))
    return rows[rows["split_fingerprint"] == prints[0]] if prints else rows, len(prints)


class ClassCounts(TableKind):
    """Labelled subjects by class, with sex and age if the manifest has them."""

    name: ClassVar[str] = "class_counts"
    question: ClassVar[str] = "How many subjects of each class are there?"

    def unfit(self, m: Measurements) -> str | None:
        return "the records name no subject" if m.evidence.subjects.empty else None

    def build(self, m: Measurements) -> Table:
        rows, _ = subjects_of(m.evidence)
        people = rows[rows["split"].isin(LABELLED_PARTS) & rows["label"].notna()]
        classes = [*LABELS, *sorted(set(people["label"]) - set(LABELS))]
        body = [self._row(class_title(c), people[people["label"] == c]) for c in classes]
        body.append(self._row("Total", people))
        return Table(
            name=self.name,
            caption="Labelled subjects by class.",
            columns=(
                Column(key="label", title="Class", align="left"),
                Column(key="two_class", title="Two-class label", align="left"),
                Column(key="subjects", title="Subjects"),
                Column(key="clips", title="Clips"),
                Column(key="female", title="Female"),
                Column(key="male", title="Male"),
                Column(key="age", title="Age (years)"),
            ),
            rows=tuple(body),
            notes=(
                "Age: mean ± sample standard deviation (ddof 1) of those whose age is known.",
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )

    def _row(self, title: str, people: pd.DataFrame) -> Row:
        two = {"Total": ""}.get(title, "Normal" if title == "Normal" else "Abnormal")
        known = people["sex"].notna().any()
        age = people["age"].dropna()
        spread = f" ± {age.std(ddof=1):.1f}" if len(age) > 1 else ""
        entries = (
            words(title),
            words(two),
            whole(len(people)),
            whole(int(people["clips"].fillna(1).sum())),
            whole(int((people["sex"] == "female").sum()) if known else None),
            whole(int((people["sex"] == "male").sum()) if known else None),
            Entry(text=f"{age.mean():.1f}{spread}", value=float(age.mean())) if len(age) else Entry(text=MISSING),
        )
        return Row(entries=entries)
