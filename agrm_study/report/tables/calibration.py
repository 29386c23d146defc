"""Table of the calibration of the predicted probabilities."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.calibrated import Calibrated, calibrate
from agrm_study.report.cells import Cell
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.evidence import Evidence
from agrm_study.report.measure import Measured, Measurements
from agrm_study.report.table import Column, Entry, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, estimate_parts, seeds_marks, shown_arms, task_blocks
from agrm_study.report.wording import MISSING, number
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.estimators import summarise


def spread(values: Floats | None, marks: tuple[str, ...], digits: int = 3) -> Entry:
    """Mean ± standard deviation of plain numbers."""
    if values is None:
        return Entry(text=MISSING)
    s = summarise(values)
    text = number(s.mean, digits) + (f" ± {number(s.std, digits)}" if s.n > 1 else "")
    return Entry(text=text, value=s.mean, parts={"std": s.std, "n": s.n}, marks=marks)


def temperature_entry(values_S: Floats | None, cell: Cell) -> Entry:
    """Mean ± standard deviation of the temperatures identified by the validation data, marked with their number if some
    are missing."""
    if values_S is None:
        return Entry(text=MISSING)
    known = values_S[~np.isnan(values_S)]
    if not known.size:
        return Entry(text="not identifiable", parts={"n": 0}, marks=cell.marks)
    return spread(known, seeds_marks(known.size, cell.planned), 2)


def plain_entry(x: Measured | None, marks: tuple[str, ...], digits: int = 3, *, interval: bool = True) -> Entry:
    """Mean of plain numbers with its interval; CSV always includes the interval."""
    if x is None:
        return Entry(text=MISSING)
    text = number(x.summary.mean, digits)
    if interval and x.interval.defined:
        text += f" [{number(x.interval.low, digits)}, {number(x.interval.high, digits)}]"
    return Entry(text=text, value=x.summary.mean, parts=estimate_parts(x), marks=marks)


class CalibrationTable(TableKind):
    """Expected calibration error, Brier score, slope, intercept and temperature."""

    name: ClassVar[str] = "calibration"
    question: ClassVar[str] = "Are the probabilities calibrated?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.study.arms else "the study has no arms"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms, rest = shown_arms(m, [a.name for a in study.arms])
        validation = cells_of_part(m.evidence, "val", arms=arms)
        rows = []
        for task in study.tasks:
            for arm in arms:
                cell = m.cell(arm, task)
                if cell is None:
                    continue
                c = calibrate(cell, validation.cells.get((arm, task)))
                rows.append((task, _entries(m.evidence, task, arm, cell, c)))
        return Table(
            name=self.name,
            caption="Calibration on the test part, as trained and after temperature scaling.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="ece", title="ECE [95% CI]"),
                Column(key="brier", title="Brier [95% CI]"),
                Column(key="slope", title="Slope [95% CI]"),
                Column(key="intercept", title="Intercept [95% CI]"),
                Column(key="temperature", title="T"),
                Column(key="ece_scaled", title="ECE at T"),
                Column(key="brier_scaled", title="Brier at T"),
            ),
            rows=task_blocks(study.tasks, rows),
            notes=(
                "ECE: expected calibration error of the top class, 15 bins (lo, hi], weighted by count; it is above 0 "
                "even for perfect probabilities, and more so with fewer subjects. Brier: multi-class, 0 to 2. Slope (1 "
                "is perfect, below 1 is overconfident) and intercept (calibration in the large, 0 is perfect): "
                "two-class only, not defined if the scores separate the classes. T: temperature, fitted on validation "
                "data with the log-loss, applied to the logarithm of a subject's averaged probabilities, mean ± "
                "standard deviation; if the minimum is at a bound of the search, it is not identifiable, and 1 is "
                "used. Fractions, not percent.",
                notes.replicates_note(m, arms, study.tasks).removeprefix("Percent; "),
                notes.interval_note(m, study.tasks),
                *rest,
                *notes.gap_notes(m.evidence, arms, study.tasks, validation.findings),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )


def _entries(evidence: Evidence, task: str, arm: str, cell: Cell, c: Calibrated) -> tuple[Entry, ...]:
    return (
        words(task),
        arm_entry(evidence, arm),
        plain_entry(c.ece, cell.marks),
        plain_entry(c.brier, cell.marks),
        plain_entry(c.slope, cell.marks, 2),
        plain_entry(c.intercept, cell.marks, 2),
        temperature_entry(c.temperature_S, cell),
        plain_entry(c.ece_after, cell.marks, interval=False),
        plain_entry(c.brier_after, cell.marks, interval=False),
    )
