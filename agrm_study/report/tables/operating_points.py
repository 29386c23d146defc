"""Table of two-class decisions at thresholds chosen on validation data for a required sensitivity or specificity."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.cells import Cell
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.measure import Measurements, measured_counts
from agrm_study.report.pooled_folds import fitted_on_validation, over_subjects
from agrm_study.report.screened import NEEDS_POSITIVE, names, screened
from agrm_study.report.table import Column, Entry, Row, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.calibration import spread
from agrm_study.report.tables.comparing import arm_entry, estimate_entry
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, MISSING
from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.classification import sensitivity, specificity
from agrm_study.statistics.operating import Requirement, threshold_for
from agrm_study.study.spec import OperatingPoint
from agrm_study.study.tasks import task_title

SHARES = {"sensitivity": sensitivity, "specificity": specificity}


def thresholds(cell: Cell, validation: Cell | None, point: OperatingPoint) -> Floats | None:
    """Threshold of each training run, chosen on its validation subjects: one per seed (S, 1), or per seed and fold (S,
    F); None if a training run has no validation subjects."""

    def chosen(probs_NK: Floats, labels_N: Ints) -> float | None:
        return threshold_for(labels_N == 1, probs_NK[:, 1], point.required, point.least)

    return fitted_on_validation(cell, validation, chosen)


def decided_at(cell: Cell, thresholds_SF: Floats) -> Cell:
    """The cell with decisions at the given thresholds: probability 1 if the score reaches the threshold, otherwise
    0."""
    scores = cell.probs_SNK[:, :, 1]
    decided = np.where(np.isnan(scores), np.nan, (scores >= over_subjects(cell, thresholds_SF)).astype(float))
    return replace(cell, probs_SNK=np.stack([1.0 - decided, decided], axis=2))


class OperatingPoints(TableKind):
    """Sensitivity and specificity on the test part at thresholds chosen on validation data, alongside the values at
    0.5."""

    name: ClassVar[str] = "operating_points"
    question: ClassVar[str] = "How does the two-class decision perform at the declared operating points?"

    def unfit(self, m: Measurements) -> str | None:
        if not m.evidence.study.operating_points:
            return "the study does not specify report.operating_points"
        return None if screened(m.evidence.study) else NEEDS_POSITIVE

    def build(self, m: Measurements) -> Table:
        study, tasks = m.evidence.study, names(screened(m.evidence.study))
        arms = [a.name for a in study.arms]
        validation = cells_of_part(m.evidence, "val", arms=arms)
        rows = []
        for task in tasks:
            for point in (None, *study.operating_points):
                for i, arm in enumerate(arms):
                    entries = self._entries(m, arm, task, point, validation.cells.get((arm, task)))
                    title = f"{task_title(task)}: " if len(tasks) > 1 else ""
                    rows.append(Row(entries=entries, heading=None if i else f"{title}{point_text(point)}"))
        return Table(
            name=self.name,
            caption="Two-class decisions on the test part at thresholds chosen on validation data, and at 0.5.",
            columns=(
                Column(key="task", title="Task", align="left", shown=False),
                Column(key="point", title="Operating point", align="left", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="threshold", title="Threshold"),
                *(Column(key=k, title=f"{METRIC_TITLES[k]} [95% CI]") for k in SHARES),
            ),
            rows=tuple(rows),
            notes=(
                "Thresholds are chosen for each seed on its validation subjects: the highest that reaches the declared "
                "sensitivity, or the lowest that reaches the declared specificity; then applied to the test part. The "
                "intervals treat the thresholds as fixed.",
                notes.replicates_note(m, arms, tasks),
                notes.interval_note(m, tasks),
                *notes.caution_notes(m, arms, tasks),
                *notes.gap_notes(m.evidence, arms, tasks, validation.findings),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )

    def _entries(
        self, m: Measurements, arm: str, task: str, point: OperatingPoint | None, validation: Cell | None
    ) -> tuple[Entry, ...]:
        head = (Entry(text=task, value=task), Entry(text=point_text(point), value=point_text(point)))
        named = (*head, arm_entry(m.evidence, arm))
        cell = m.cell(arm, task)
        if cell is None:
            return (*named, *[Entry(text=MISSING)] * (1 + len(SHARES)))
        found = np.full((len(cell.seeds), 1), 0.5) if point is None else thresholds(cell, validation, point)
        if found is None:
            return (*named, Entry(text="no validation data"), *[Entry(text=MISSING)] * len(SHARES))
        decided = measured_counts(decided_at(cell, found), SHARES)
        shares = (estimate_entry(decided[k], cell.marks) for k in SHARES)
        return (*named, spread(found.mean(axis=1), cell.marks, 3), *shares)


def point_text(point: OperatingPoint | None) -> str:
    """Name of an operating point; None is the default threshold of 0.5."""
    if point is None:
        return "p ≥ 0.5"
    required: Requirement = point.required
    return f"{METRIC_NAMES[required].capitalize()} ≥ {100 * point.least:g}% on validation data"
