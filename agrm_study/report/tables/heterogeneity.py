"""Table of each arm's results by site, sex and age, with the difference between each group and the others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from agrm_study.report import notes
from agrm_study.report.cells import Cell
from agrm_study.report.external import metric_of
from agrm_study.report.measure import Measured, Measurements, scores
from agrm_study.report.table import EMPTY, Column, Entry, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, difference_entry, estimate_entry, shown_arms, task_blocks
from agrm_study.report.tables.subgroups import restrict, unknown_attributes
from agrm_study.report.wording import METRIC_TITLES, p_text
from agrm_study.statistics.comparison import Difference, holm
from agrm_study.statistics.two_sets import compare_sets
from agrm_study.statistics.two_way import FEWEST_SUBJECTS
from agrm_study.study.spec import has_metric

SMALLEST = FEWEST_SUBJECTS
"""Minimum number of subjects for a group to be shown; with fewer, the variance cannot be estimated."""


_ONE_FOLD = (
    "Each site is tested with the networks of one fold: its Δ also contains the difference between training sets, "
    "which the interval and p-value do not include."
)


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """One arm on one task in one group of subjects.

    Attributes:
        value: The primary metric in the group; None if it is undefined there.
        difference: The group minus the remaining subjects of the attribute; None if either side is too small, or for
            the second of two groups.
    """

    arm: str
    task: str
    group: str
    subjects: int
    cell: Cell
    value: Measured | None
    difference: Difference | None


def attributes(people: pd.DataFrame) -> dict[str, dict[str, set[str]]]:
    """Subject ids by attribute and group: sites (sources, if the manifest has no sites), sex, and age (below the median
    or not)."""
    found: dict[str, dict[str, set[str]]] = {}
    for title, column in (("Site", "site" if people["site"].notna().any() else "source"), ("Sex", "sex")):
        known = people[people[column].notna()]
        groups = {f"{title}: {name}": set(rows["subject_id"]) for name, rows in known.groupby(column)}
        if len(groups) > 1:
            found[title] = groups
    aged = people[people["age"].notna()]
    if len(aged):
        middle = float(np.median(aged["age"]))
        young = aged["age"] < middle
        if young.any() and not young.all():
            found["Age"] = {
                f"Age: below {middle:g}": set(aged.loc[young, "subject_id"]),
                f"Age: from {middle:g}": set(aged.loc[~young, "subject_id"]),
            }
    return found


def group_results(m: Measurements, task: str, arms: list[str]) -> Iterator[GroupResult]:
    """Results by arm, attribute and group; groups of fewer than `SMALLEST` subjects are omitted."""
    metric = m.evidence.study.primary_metric
    people = m.evidence.subjects.drop_duplicates("subject_id")
    for arm in arms:
        cell = m.cell(arm, task)
        if cell is None or not has_metric(cell.definition, metric):
            continue
        for groups in attributes(people[people["subject_id"].isin(cell.tested)]).values():
            everyone = set().union(*groups.values())
            for place, (name, ids) in enumerate(groups.items()):
                part, rest = restrict(cell, ids), restrict(cell, everyone - ids)
                if len(part.subjects) < SMALLEST:
                    continue
                difference = None
                mirrored = len(groups) == 2 and place == 1
                if len(rest.subjects) >= SMALLEST and not mirrored:
                    ours, theirs = (scores(c, (metric,))[metric] for c in (part, rest))
                    difference = compare_sets(ours, theirs)
                yield GroupResult(
                    arm=arm,
                    task=task,
                    group=name,
                    subjects=len(part.subjects),
                    cell=part,
                    value=metric_of(part, metric),
                    difference=difference if difference is not None and math.isfinite(difference.delta) else None,
                )


class Heterogeneity(TableKind):
    """Primary metric of every arm by site, sex and age, with differences between groups."""

    name: ClassVar[str] = "heterogeneity"
    question: ClassVar[str] = "Do the networks perform equally at all sites and in all groups?"

    def unfit(self, m: Measurements) -> str | None:
        if not m.evidence.study.arms:
            return "the study has no arms"
        people = m.evidence.subjects
        tested = people[people["split"] == "test"]
        return None if attributes(tested) else "the manifest does not contain several sites or sources, sex, or age"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms, rest = shown_arms(m, [a.name for a in study.arms])
        title = METRIC_TITLES[study.primary_metric]
        rows, sizes = [], []
        for task in study.tasks:
            results = list(group_results(m, task, arms))
            p_values = [math.nan if r.difference is None else r.difference.p for r in results]
            adjusted = holm(p_values)
            sizes.append(sum(math.isfinite(p) for p in p_values))
            rows += [(task, _entries(m, r, float(p))) for r, p in zip(results, adjusted, strict=True)]
        people = m.evidence.subjects.drop_duplicates("subject_id")
        tested = {s for task in study.tasks for arm in arms if (c := m.cell(arm, task)) is not None for s in c.tested}
        family = f"{sizes[0]}" if len(set(sizes)) == 1 else " and ".join(map(str, sizes))
        return Table(
            name=self.name,
            caption=f"{title} of every arm by site, sex and age; test part.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="group", title="Group", align="left"),
                Column(key="subjects", title="N"),
                Column(key="value", title=f"{title} [95% CI]"),
                Column(key="difference", title="Δ to the others [95% CI]"),
                Column(key="p", title="p"),
            ),
            rows=task_blocks(study.tasks, rows),
            notes=(
                f"Groups of at least {SMALLEST} test subjects. Δ: group minus the other subjects whose attribute is "
                "known, in percentage points, for the same seeds on two independent sets of subjects (two-way "
                "variance, Welch–Satterthwaite degrees of freedom); for two groups, Δ is shown once. p: Holm-adjusted "
                f"over all differences on a task, for all arms and attributes ({family}). Groups also differ in their "
                "mix of classes, and the study was not planned for these comparisons: an undetected difference may "
                "still exist.",
                *([_ONE_FOLD] if study.splits is not None and study.splits.group == "site" else []),
                *unknown_attributes(people, sorted(tested), ("site", "sex", "age")),
                notes.interval_note(m, study.tasks),
                *rest,
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )


def _entries(m: Measurements, r: GroupResult, adjusted: float) -> list[Entry]:
    entries = [words(r.task), arm_entry(m.evidence, r.arm), words(r.group), whole(r.subjects)]
    entries.append(estimate_entry(r.value, r.cell.marks))
    if r.difference is None:
        return [*entries, EMPTY, EMPTY]
    parts = {"uncorrected": r.difference.p}
    return [
        *entries,
        difference_entry(r.difference, r.cell.planned),
        Entry(text=p_text(adjusted), value=adjusted if math.isfinite(adjusted) else None, parts=parts),
    ]
