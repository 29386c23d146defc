"""Table of threshold-free discrimination of a positive class."""

from __future__ import annotations

from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.idle import SAME
from agrm_study.report.measure import Measurements, measured_counts
from agrm_study.report.screened import NEEDS_POSITIVE, names, pairs, screened, task_columns, task_row
from agrm_study.report.table import EMPTY, Column, Entry, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, difference_entry, estimate_entry
from agrm_study.report.wording import METRIC_TITLES, MISSING, tasks_text
from agrm_study.statistics.classification import mcc

AREAS = ("roc_auc", "average_precision")


class Discrimination(TableKind):
    """Areas under the curves with their differences from the reference, and the Matthews correlation coefficient."""

    name: ClassVar[str] = "discrimination"
    question: ClassVar[str] = "How well do the scores separate the positive from the negative class?"

    def unfit(self, m: Measurements) -> str | None:
        return None if screened(m.evidence.study) else NEEDS_POSITIVE

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        tasks = screened(study)
        asked = names(tasks)
        compared = study.reference is not None
        columns = [*task_columns(tasks), Column(key="arm", title="Arm", align="left")]
        for k in AREAS:
            columns.append(Column(key=k, title=f"{METRIC_TITLES[k]} [95% CI]"))
            if compared:
                columns.append(Column(key=f"{k}_delta", title=f"Δ{METRIC_TITLES[k]} [95% CI]"))
        columns.append(Column(key="mcc", title="MCC [95% CI]"))
        delta = (
            f"Δ: difference from {study.reference} in percentage points with its 95% interval, not adjusted for "
            "multiple comparisons; not part of any family of tests.",
        )
        return Table(
            name=self.name,
            caption=f"Separation of {pairs(tasks)} by the {tasks_text(asked)} scores; test part.",
            columns=tuple(columns),
            rows=tuple(
                task_row(tasks, task, self._entries(m, task.name, arm), first=arm == arms[0])
                for task in tasks
                for arm in arms
            ),
            notes=(
                "ROC-AUC: area under the ROC curve. PR-AUC: average precision without interpolation; its chance level "
                "is the prevalence. MCC: Matthews correlation coefficient of the decisions at p ≥ 0.5, times 100.",
                *(delta if compared else ()),
                *notes.closing_notes(m, arms, asked, notes.caution_notes(m, arms, asked)),
            ),
            partial=m.evidence.partial,
        )

    def _entries(self, m: Measurements, task: str, arm: str) -> list[Entry]:
        study = m.evidence.study
        cell = m.cell(arm, task)
        entries = [arm_entry(m.evidence, arm)]
        for k in AREAS:
            entries.append(Entry(text=MISSING) if cell is None else estimate_entry(m.metric(arm, task, k), cell.marks))
            if study.reference is not None:
                entries.append(self._delta(m, task, arm, k))
        if cell is None:
            entries.append(Entry(text=MISSING))
        else:
            found = measured_counts(cell, {"mcc": mcc}, -1.0, 1.0)["mcc"]
            entries.append(estimate_entry(found, cell.marks))
        return entries

    def _delta(self, m: Measurements, task: str, arm: str, metric: str) -> Entry:
        if arm == m.evidence.study.reference:
            return EMPTY
        c = m.compared(metric).get((arm, task))
        cell = m.cell(arm, task)
        if c is not None and c.same:
            return Entry(text=MISSING).marked(SAME)
        if c is None or c.difference is None or cell is None:
            return Entry(text=MISSING)
        return difference_entry(c.difference, cell.planned)
