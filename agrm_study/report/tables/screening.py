"""Table of the two-class decision in screening: counts, sensitivity, specificity and predictive values."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Row, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, estimate_entry
from agrm_study.report.wording import METRIC_TITLES, MISSING, percent
from agrm_study.statistics.clinical import screen

METRICS = ("sensitivity", "specificity", "ppv", "npv")
TASK = "two_class"


def prevalence(m: Measurements) -> float:
    """Proportion of abnormal test subjects; NaN without test subjects."""
    cells = [c for (_, t), c in m.evidence.cells.items() if t == TASK]
    return float((cells[0].labels_N == 1).mean()) if cells and cells[0].labels_N.size else math.nan


class ScreeningTable(TableKind):
    """Counts, sensitivity, specificity and predictive values of the two-class task."""

    name: ClassVar[str] = "screening"
    question: ClassVar[str] = "What would the two-class decision mean in screening?"

    def unfit(self, m: Measurements) -> str | None:
        return None if TASK in m.evidence.study.tasks else "the study has no two-class task"

    def build(self, m: Measurements) -> Table:
        arms = [a.name for a in m.evidence.study.arms]
        share = prevalence(m)
        own = f" ({percent(share)}% abnormal)" if math.isfinite(share) else ""
        return Table(
            name=self.name,
            caption="Two-class decision as a screening test; abnormal is positive, decided at p ≥ 0.5.",
            columns=(
                Column(key="arm", title="Arm", align="left"),
                Column(key="counts", title="TP / FP / FN / TN"),
                *(Column(key=k, title=f"{METRIC_TITLES[k]} [95% CI]") for k in METRICS),
            ),
            rows=tuple(self._row(m, arm) for arm in arms),
            notes=(
                f"TP / FP / FN / TN: mean over seeds. PPV and NPV hold at the test set's own prevalence{own}; "
                "elsewhere they differ (table predictive_values, for the prevalences in report.prevalences).",
                notes.replicates_note(m, arms, (TASK,)).replace("mean ± sample standard deviation (ddof 1)", "means"),
                notes.interval_note(m, (TASK,)),
                *notes.caution_notes(m, arms, (TASK,)),
                *notes.gap_notes(m.evidence, arms, (TASK,)),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )

    def _row(self, m: Measurements, arm: str) -> Row:
        cell = m.cell(arm, TASK)
        if cell is None:
            return Row(entries=(arm_entry(m.evidence, arm), *[Entry(text=MISSING)] * (len(METRICS) + 1)))
        counts = screen(cell.labels_N, cell.predicted_SN)
        means = [float(np.mean([getattr(c, k) for c in counts])) for k in ("tp", "fp", "fn", "tn")]
        text = " / ".join(f"{x:.1f}" for x in means)
        entries = [
            arm_entry(m.evidence, arm),
            Entry(text=text, parts=dict(zip(("tp", "fp", "fn", "tn"), means, strict=True))),
        ]
        entries += [estimate_entry(m.metric(arm, TASK, k), cell.marks) for k in METRICS]
        return Row(entries=tuple(entries))
