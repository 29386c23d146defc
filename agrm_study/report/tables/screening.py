"""What would the two-class decision mean in screening?"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.measure import Measured, Measurements
from agrm_study.report.table import Column, Entry, Row, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.wording import METRIC_TITLES, MISSING, bracket, mean_std, percent
from agrm_study.statistics.clinical import npv_at, ppv_at, screen
from agrm_study.statistics.estimators import summarise

METRICS = ("sensitivity", "specificity", "ppv", "npv", "average_precision", "roc_auc")
TASK = "two_class"


class ScreeningTable(TableKind):
    """Counts, sensitivity, specificity, predictive values and areas of the two-class task."""

    name: ClassVar[str] = "screening"
    question: ClassVar[str] = "What would the two-class decision mean in screening?"

    def unfit(self, m: Measurements) -> str | None:
        return None if TASK in m.evidence.study.tasks else "the study has no two-class task"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        rows = [self._row(m, a.name) for a in study.arms]
        arms = [a.name for a in study.arms]
        prevalences = study.prevalences
        share = self._prevalence(m)
        own = f" ({percent(share)}% abnormal)" if math.isfinite(share) else ""
        stated = tuple(
            Column(key=f"{kind}_at_{p:g}", title=f"{kind.upper()} at {100 * p:g}%")
            for p in prevalences
            for kind in ("ppv", "npv")
        )
        return Table(
            name=self.name,
            caption="Two-class decision as a screening test; abnormal is positive, decided at p ≥ 0.5.",
            columns=(
                Column(key="arm", title="Arm", align="left"),
                Column(key="counts", title="TP / FP / FN / TN"),
                *(Column(key=k, title=METRIC_TITLES[k]) for k in METRICS),
                *stated,
            ),
            rows=tuple(rows),
            notes=(
                f"TP / FP / FN / TN: mean over seeds. PPV and NPV hold at the test set's own prevalence{own}"
                + (", and by Bayes' rule at those stated." if prevalences else "; elsewhere they differ."),
                "PR-AUC: average precision without interpolation; its chance level is the prevalence.",
                notes.replicates_note(m, arms, (TASK,)),
                notes.interval_note(m, m.undefined(arms, (TASK,), METRICS)),
                *notes.gap_notes(m.evidence, arms, (TASK,)),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )

    def _prevalence(self, m: Measurements) -> float:
        cells = [c for (_, t), c in m.evidence.cells.items() if t == TASK]
        return float((cells[0].labels_N == 1).mean()) if cells and cells[0].labels_N.size else math.nan

    def _row(self, m: Measurements, arm: str) -> Row:
        cell = m.cell(arm, TASK)
        if cell is None:
            n = len(METRICS) + 1 + 2 * len(m.evidence.study.prevalences)
            return Row(entries=(words(arm), *[Entry(text=MISSING)] * n))
        counts = screen(cell.labels_N, cell.predicted_SN)
        means = [float(np.mean([getattr(c, k) for c in counts])) for k in ("tp", "fp", "fn", "tn")]
        text = " / ".join(f"{x:.1f}" for x in means)
        entries = [words(arm), Entry(text=text, parts=dict(zip(("tp", "fp", "fn", "tn"), means, strict=True)))]
        entries += [self._metric(m.metric(arm, TASK, k), cell.marks) for k in METRICS]
        for p in m.evidence.study.prevalences:
            for function in (ppv_at, npv_at):
                s = summarise([function(c.sensitivity, c.specificity, p) for c in counts])
                parts = {"std": s.std, "n": s.n}
                entries.append(Entry(text=mean_std(s.mean, s.std), value=s.mean, parts=parts, marks=cell.marks))
        return Row(entries=tuple(entries))

    def _metric(self, x: Measured | None, marks: tuple[str, ...]) -> Entry:
        if x is None:
            return Entry(text=MISSING)
        text = percent(x.summary.mean)
        if x.interval.defined:
            text += f" {bracket(x.interval)}"
        parts = {"std": x.summary.std, "n": x.summary.n, "low": x.interval.low, "high": x.interval.high}
        return Entry(text=text, value=x.summary.mean, parts=parts | {"undefined": x.undefined}, marks=marks)
