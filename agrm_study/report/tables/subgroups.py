"""Table of the reference arm's results by sex and age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pandas as pd

from agrm_study.report import notes
from agrm_study.report.cells import Cell
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import interval_entry, metric_entry, task_blocks
from agrm_study.report.wording import METRIC_TITLES

SMALLEST = 5
"""Minimum number of subjects for a subgroup to be shown."""


def groups_of(people: pd.DataFrame) -> dict[str, set[str]]:
    """Subject ids by subgroup: sex, and age in full years."""
    found: dict[str, set[str]] = {}
    for sex in ("female", "male"):
        found[f"Sex: {sex}"] = set(people.loc[people["sex"] == sex, "subject_id"])
    years = np.floor(people["age"])
    for year in sorted(set(years.dropna())):
        found[f"Age: {year:.0f}"] = set(people.loc[years == year, "subject_id"])
    return {name: ids for name, ids in found.items() if ids}


def unknown_attributes(
    people: pd.DataFrame, subjects: Sequence[str], columns: Sequence[str] = ("sex", "age")
) -> list[str]:
    """Sentences about the tested subjects that are in no subgroup."""
    rows = people[people["subject_id"].isin(subjects)]
    sentences = []
    for column in columns:
        n = len(subjects) - int(rows[column].notna().sum())
        if 0 < n < len(subjects):
            sentences.append(
                f"{column.capitalize()} unknown: {n} of {len(subjects)} subjects, not in any of these subgroups."
            )
    return sentences


def restrict(cell: Cell, ids: set[str]) -> Cell:
    """The cell restricted to the given subjects."""
    return cell.restricted(np.array([s in ids for s in cell.subjects], dtype=bool))


class Subgroups(TableKind):
    """Metrics of the reference arm by sex and age."""

    name: ClassVar[str] = "subgroups"
    question: ClassVar[str] = "Does the method perform equally in all subgroups?"

    def unfit(self, m: Measurements) -> str | None:
        people = m.evidence.subjects
        if people.empty or not (people["sex"].notna().any() or people["age"].notna().any()):
            return "the manifest does not contain sex or age"
        return None if m.evidence.study.arms else "the study has no arms"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arm = study.reference or study.arms[0].name
        people = m.evidence.subjects.drop_duplicates("subject_id")
        rows: list[tuple[str, list[Entry]]] = []
        left_out: list[str] = []
        unknown: list[str] = []
        for task in study.tasks:
            cell = m.cell(arm, task)
            if cell is None:
                continue
            unknown += unknown_attributes(people, cell.subjects)
            for name, ids in {"All": set(cell.subjects), **groups_of(people)}.items():
                part = restrict(cell, ids)
                if len(part.subjects) < SMALLEST:
                    left_out.append(name)
                    continue
                own = replace(m, evidence=replace(m.evidence, cells={(arm, task): part}))
                entries = [words(task), words(name), whole(len(part.subjects))]
                entries += [
                    metric_entry(own, arm, task, own.metric(arm, task, k), "plain") for k in ("accuracy", "macro_f1")
                ]
                entries.append(interval_entry(own.metric(arm, task, study.primary_metric)))
                rows.append((task, entries))
        small = (f"Fewer than {SMALLEST} subjects: {', '.join(dict.fromkeys(left_out))}.",) if left_out else ()
        return Table(
            name=self.name,
            caption=f"{arm} by subgroup; test part.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="group", title="Subgroup", align="left"),
                Column(key="subjects", title="N"),
                Column(key="accuracy", title="Accuracy"),
                Column(key="macro_f1", title="F1"),
                Column(key="interval", title=f"{METRIC_TITLES[study.primary_metric]} 95% CI"),
            ),
            rows=task_blocks(study.tasks, rows),
            notes=(
                "Descriptive: subgroups were not powered for comparison, and no tests between them are performed.",
                *small,
                *dict.fromkeys(unknown),
                notes.replicates_note(m, [arm], study.tasks),
                notes.interval_note(m, study.tasks),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )
