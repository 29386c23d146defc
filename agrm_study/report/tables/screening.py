"""Table of screening decisions: counts, sensitivity, specificity and predictive values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.measure import Measurements
from agrm_study.report.screened import (
    NEEDS_POSITIVE,
    names,
    positive_words,
    screened,
    task_columns,
    task_row,
    what_is_positive,
)
from agrm_study.report.table import Column, Entry, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, estimate_entry
from agrm_study.report.wording import METRIC_TITLES, MISSING, listing, percent
from agrm_study.statistics.clinical import screen
from agrm_study.study.tasks import Task

METRICS = ("sensitivity", "specificity", "ppv", "npv")


def prevalence(m: Measurements, task: Task) -> float:
    """Proportion of positive test subjects; NaN if there are no test subjects."""
    cells = [c for (_, t), c in m.evidence.cells.items() if t == task.name]
    return float((cells[0].labels_N == 1).mean()) if cells and cells[0].labels_N.size else math.nan


def shares_text(m: Measurements, tasks: Sequence[Task]) -> str:
    """The prevalence of each task in brackets, preceded by a space; empty if there are no test subjects."""
    shares = {task: prevalence(m, task) for task in tasks}
    known = [f"{percent(share)}% {positive_words(task)}" for task, share in shares.items() if math.isfinite(share)]
    return f" ({', '.join(known)})" if known else ""


class ScreeningTable(TableKind):
    """Counts, sensitivity, specificity and predictive values of the tasks with a positive class."""

    name: ClassVar[str] = "screening"
    question: ClassVar[str] = "How does the two-class decision perform as a screening test?"

    def unfit(self, m: Measurements) -> str | None:
        return None if screened(m.evidence.study) else NEEDS_POSITIVE

    def build(self, m: Measurements) -> Table:
        arms = [a.name for a in m.evidence.study.arms]
        tasks = screened(m.evidence.study)
        asked, titles = names(tasks), listing([task.title for task in tasks])
        shares = shares_text(m, tasks)
        return Table(
            name=self.name,
            caption=f"{titles} decision as a screening test; {what_is_positive(tasks)}, decided at p ≥ 0.5.",
            columns=(
                *task_columns(tasks),
                Column(key="arm", title="Arm", align="left"),
                Column(key="counts", title="TP / FP / FN / TN"),
                *(Column(key=k, title=f"{METRIC_TITLES[k]} [95% CI]") for k in METRICS),
            ),
            rows=tuple(
                task_row(tasks, task, self._entries(m, task.name, arm), first=arm == arms[0])
                for task in tasks
                for arm in arms
            ),
            notes=(
                f"TP / FP / FN / TN: mean over seeds. PPV and NPV apply to the prevalence of the test set{shares}; at "
                "other prevalences they differ (table predictive_values, for the prevalences in report.prevalences).",
                *notes.closing_notes(m, arms, asked, notes.caution_notes(m, arms, asked)),
            ),
            partial=m.evidence.partial,
        )

    def _entries(self, m: Measurements, task: str, arm: str) -> list[Entry]:
        cell = m.cell(arm, task)
        if cell is None:
            return [arm_entry(m.evidence, arm), *[Entry(text=MISSING)] * (len(METRICS) + 1)]
        counts = screen(cell.labels_N, cell.predicted_SN)
        means = [float(np.mean([getattr(c, k) for c in counts])) for k in ("tp", "fp", "fn", "tn")]
        text = " / ".join(f"{x:.1f}" for x in means)
        entries = [
            arm_entry(m.evidence, arm),
            Entry(text=text, parts=dict(zip(("tp", "fp", "fn", "tn"), means, strict=True))),
        ]
        return entries + [estimate_entry(m.metric(arm, task, k), cell.marks) for k in METRICS]
