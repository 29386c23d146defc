"""Table of the subjects by class and part of the data (Table 2 of the paper)."""

from __future__ import annotations

from typing import ClassVar

import pandas as pd

from agrm_study.report import notes
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.class_counts import LABELLED_PARTS, labels_in_order, subjects_of
from agrm_study.study.counted import some
from agrm_study.study.tasks import class_title


class Splits(TableKind):
    """Subjects by class and part, and the number of unlabelled clips."""

    name: ClassVar[str] = "splits"
    question: ClassVar[str] = "How are the classes distributed over the parts of the data?"

    def unfit(self, m: Measurements) -> str | None:
        return "the records do not contain any subjects" if m.evidence.subjects.empty else None

    def build(self, m: Measurements) -> Table:
        rows, n_splits = subjects_of(m.evidence)
        people = rows[rows["label"].notna()]
        labels = labels_in_order(m.evidence.study, people["label"])
        body = [self._row(class_title(c), people[people["label"] == c]) for c in labels]
        body.append(self._row("Labelled", people))
        clips = {
            p: int(rows.loc[rows["split"] == f"unlabelled_{p}", "clips"].fillna(1).sum()) for p in ("train", "val")
        }
        counts = (whole(clips["train"]), whole(clips["val"]), whole(0), whole(sum(clips.values())))
        body.append(Row(entries=(words("Unlabelled clips"), *counts)))
        splits = m.evidence.study.splits
        several: tuple[str, ...] = (f"The study has {n_splits} splits; this is one of them.",) if n_splits > 1 else ()
        if splits is not None:
            several = (f"One of {n_splits} splits: each labelled subject is in the test part of one of its folds.",)
            if splits.group == "site":
                several += (self._shared_sites(m.evidence.subjects),)
        return Table(
            name=self.name,
            caption="Subjects by class and part of the data.",
            columns=(
                Column(key="label", title="Class", align="left"),
                Column(key="train", title="Training"),
                Column(key="val", title="Validation"),
                Column(key="test", title="Test"),
                Column(key="total", title="Total"),
            ),
            rows=tuple(body),
            notes=(self._overlap(m), *several, notes.versions_note(m.evidence)),
            partial=m.evidence.partial,
        )

    def _overlap(self, m: Measurements) -> str:
        """Sentence that states whether a subject is in two parts of a split, according to the records."""
        broken = m.evidence.people.broken
        if not broken:
            return "Split by subject: no subject is in two parts."
        return f"Excluded: {'; '.join(f'split {fp}: {rule}' for fp, rule in broken.items())}."

    def _shared_sites(self, people: pd.DataFrame) -> str:
        """Sentence that states whether a site is in both the test part and another part of a fold, according to the
        records."""
        found = {
            str(site)
            for _, rows in people[people["site"].notna()].groupby("split_fingerprint")
            for site in set(rows.loc[rows["split"] == "test", "site"]) & set(rows.loc[rows["split"] != "test", "site"])
        }
        if not found:
            return "Folds of whole sites: no site is in both the test part and another part of a fold."
        return (
            "Sites in both the test part and another part of a fold, although the study requests folds by site: "
            f"{some(sorted(found))}."
        )

    def _row(self, title: str, people: pd.DataFrame) -> Row:
        counts = [int((people["split"] == part).sum()) for part in LABELLED_PARTS]
        return Row(entries=(words(title), *(whole(c) for c in counts), whole(sum(counts))))
