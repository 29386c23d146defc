"""Table of the agreement between decisions and labels in multi-class and ordered tasks."""

from __future__ import annotations

from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.cells import Cell
from agrm_study.report.measure import Measured, Measurements, measured, measured_counts
from agrm_study.report.table import Column, Entry, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.calibration import plain_entry
from agrm_study.report.tables.comparing import arm_entry, estimate_entry, shown_arms, task_blocks
from agrm_study.report.wording import MISSING
from agrm_study.statistics.classification import mcc
from agrm_study.statistics.ordered import OrderedScores, mean_absolute_error, quadratic_kappa
from agrm_study.study.tasks import MIN_CLASSES, Task


def kappa_and_error(cell: Cell) -> tuple[Measured, Measured]:
    """Quadratically weighted kappa and mean absolute error of a cell, with intervals."""

    def of(found: OrderedScores, low: float, high: float) -> Measured:
        return measured(cell.scored(found.values_S, found.influence_SN), low, high)

    k = len(cell.classes)
    return (
        of(quadratic_kappa(cell.labels_N, cell.predicted_SN, k), -1.0, 1.0),
        of(mean_absolute_error(cell.labels_N, cell.predicted_SN), 0.0, k - 1.0),
    )


class Agreement(TableKind):
    """Matthews correlation coefficient, and for ordered classes quadratically weighted kappa and mean absolute
    error."""

    name: ClassVar[str] = "agreement"
    question: ClassVar[str] = "How well do decisions between several classes agree with the labels?"

    def unfit(self, m: Measurements) -> str | None:
        return None if _tasks(m) else "no task has more than two classes or ordered classes"

    def build(self, m: Measurements) -> Table:
        study, found = m.evidence.study, _tasks(m)
        tasks = [task.name for task in found]
        arms, rest = shown_arms(m, [a.name for a in study.arms])
        ordered = any(task.ordered for task in found)
        rows = []
        for task in found:
            for arm in arms:
                rows.append((task.name, _entries(m, task, arm, ordered=ordered)))
        columns = [
            Column(key="task", title="Task", shown=False),
            Column(key="arm", title="Arm", align="left"),
            Column(key="mcc", title="MCC [95% CI]"),
        ]
        grades = ""
        if ordered:
            columns.append(Column(key="kappa", title="Weighted κ [95% CI]"))
            columns.append(Column(key="absolute_error", title="MAE [95% CI]"))
            grades = (
                " Weighted κ: Cohen's kappa with quadratic weights, times 100; MAE: mean absolute error, in classes; "
                "both count neighbouring classes as one step apart and apply to ordered tasks only."
            )
        return Table(
            name=self.name,
            caption="Agreement between decisions and labels in multi-class and ordered tasks; test part.",
            columns=tuple(columns),
            rows=task_blocks(tasks, rows),
            notes=(
                f"MCC: Matthews correlation coefficient over all classes, times 100.{grades}",
                *notes.closing_notes(m, arms, tasks, (*notes.caution_notes(m, arms, tasks), *rest)),
            ),
            partial=m.evidence.partial,
        )


def _tasks(m: Measurements) -> tuple[Task, ...]:
    """Tasks with more than two classes, and ordered tasks."""
    return tuple(t for t in m.evidence.study.tasks.values() if t.n_classes > MIN_CLASSES or t.ordered)


def _entries(m: Measurements, task: Task, arm: str, *, ordered: bool) -> tuple[Entry, ...]:
    """The entries of a row; with `ordered`, also kappa and error, which are missing for an unordered task."""
    cell = m.cell(arm, task.name)
    start, missing = (words(task.name), arm_entry(m.evidence, arm)), Entry(text=MISSING)
    if cell is None:
        return (*start, missing, *([missing, missing] if ordered else []))
    correlation = estimate_entry(measured_counts(cell, {"mcc": mcc}, -1.0, 1.0)["mcc"], cell.marks)
    if not ordered:
        return (*start, correlation)
    if not task.ordered:
        return (*start, correlation, missing, missing)
    kappa, error = kappa_and_error(cell)
    return (*start, correlation, estimate_entry(kappa, cell.marks), plain_entry(error, cell.marks, 2))
