"""ROC and precision–recall curves of each class against all others, for tasks with more than two classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.cells import Cell
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import GREY, TWO_COLUMNS_IN, look, name_lines, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.tables.one_vs_rest import several_classes
from agrm_study.report.wording import percent
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.curve_bands import precision_at_recall, sensitivity_at
from agrm_study.statistics.ranking import RANKING, at_each_seed, cumulated
from agrm_study.study.tasks import class_title, task_title

MAX_CLASSES: Final = 10
"""Maximum number of classes with a curve; if there are more, the classes with the lowest ROC-AUC are drawn."""
GRID: Final = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True)
class ClassCurves:
    """Curves of one class: means over seeds on a grid, and the areas under them."""

    name: str
    position: int
    sensitivity: Floats
    precision: Floats
    roc_auc: float
    average_precision: float


@dataclass(frozen=True, kw_only=True)
class TaskCurves:
    """Curves of one task, and the number of its classes that have no curve."""

    task: str
    n_subjects: int
    classes: tuple[ClassCurves, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True)
class OneVsRestInfo:
    """Curves of one arm by task."""

    arm: str
    n_seeds: int
    tasks: tuple[TaskCurves, ...]


class OneVsRestCurves(FigureKind[OneVsRestInfo]):
    """Curves of the reference arm, one line per class."""

    name: ClassVar[str] = "one_vs_rest"
    question: ClassVar[str] = "Which classes are separated well from all others, and which are not?"
    needs: ClassVar[str] = "a task with more than two classes, and a finished trial of the reference (or first arm)"

    def info(self, m: Measurements) -> OneVsRestInfo | None:
        study = m.evidence.study
        if not study.arms:
            return None
        arm = study.reference or study.arms[0].name
        found = [(task.name, cell) for task in several_classes(m) if (cell := m.cell(arm, task.name)) is not None]
        tasks = [curves for name, cell in found if (curves := _task_curves(name, cell)).classes]
        seeds = max((len(cell.seeds) for _, cell in found), default=0)
        return OneVsRestInfo(arm=arm, n_seeds=seeds, tasks=tuple(tasks)) if tasks else None

    def draw(self, info: OneVsRestInfo) -> Figure:
        with styled():
            rows = len(info.tasks)
            figure = Figure(figsize=(TWO_COLUMNS_IN, 2.6 * rows + 0.1), layout="constrained")
            grid: Any = figure.subplots(rows, 3, squeeze=False, width_ratios=[1, 1, 0.75])
            for (roc, pr, key), curves in zip(grid, info.tasks, strict=True):
                self._task(roc, pr, key, curves)
            return figure

    def _task(self, roc: Any, pr: Any, key: Any, curves: TaskCurves) -> None:
        roc.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=0.9)
        for each in curves.classes:
            label = (
                f"{name_lines([class_title(each.name)], 18)[0]}  {percent(each.roc_auc)} · "
                f"{percent(each.average_precision)}"
            )
            roc.plot(100 * GRID, 100 * each.sensitivity, **look(each.position), label=label)
            pr.plot(100 * GRID[1:], 100 * each.precision, **look(each.position))
        for axes, x, y in ((roc, "1 − specificity (%)", "Sensitivity (%)"), (pr, "Recall (%)", "Precision (%)")):
            soft_grid(axes, "both")
            axes.set_xlabel(x)
            axes.set_ylabel(y)
            axes.set_xlim(-1, 101)
            axes.set_ylim(-1, 102)
            axes.set_xticks([0, 25, 50, 75, 100])
            axes.set_yticks([0, 25, 50, 75, 100])
        roc.set_title(task_title(curves.task))
        key.set_axis_off()
        handles, labels = roc.get_legend_handles_labels()
        title = "Class  ROC-AUC · AP (%)"
        key.legend(handles, labels, loc="center left", title=title, alignment="left", borderaxespad=0)

    def caption(self, info: OneVsRestInfo) -> str:
        counts = " and ".join(f"{c.n_subjects} ({task_title(c.task).lower()})" for c in info.tasks)
        if len(info.tasks) == 1:
            counts = str(info.tasks[0].n_subjects)
        left_out = [f"{c.left_out} classes of {task_title(c.task).lower()}" for c in info.tasks if c.left_out]
        rest = f" Only the {MAX_CLASSES} classes with the lowest areas are drawn; not shown: {', '.join(left_out)}."
        return (
            f"Each class against all others, {info.arm}, N = {counts} test subjects: ROC curves (left) and "
            f"precision–recall curves (middle), mean over {info.n_seeds} seeds at equal false-positive rate and equal "
            f"recall; dotted: a chance ranking. AP: average precision.{rest if left_out else ''}"
        )


def _task_curves(task: str, cell: Cell) -> TaskCurves:
    found = [curves for k in range(len(cell.classes)) if (curves := _class_curves(cell, k)) is not None]
    drawn = sorted(found, key=lambda each: each.roc_auc)[:MAX_CLASSES] if len(found) > MAX_CLASSES else found
    return TaskCurves(
        task=task,
        n_subjects=cell.n_subjects,
        classes=tuple(
            replace(each, position=position)
            for position, each in enumerate(sorted(drawn, key=lambda each: each.position))
        ),
        left_out=len(cell.classes) - len(drawn),
    )


def _class_curves(cell: Cell, k: int) -> ClassCurves | None:
    """Mean curves of a class; None if a seed has no test subject of the class, or no other test subject."""
    sensitivities, precisions = [], []
    for scores in cell.probs_SNK[:, :, k]:
        here = ~np.isnan(scores)
        positive = cell.labels_N[here] == k
        if not positive.any() or positive.all():
            return None
        true, false, _ = cumulated(positive, scores[here], np.ones((1, int(here.sum()))))
        sensitivities.append(sensitivity_at(true, false, GRID)[0])
        precisions.append(precision_at_recall(true, false, GRID[1:])[0])
    labels, scores_SN = cell.labels_N == k, cell.probs_SNK[:, :, k]
    return ClassCurves(
        name=cell.classes[k],
        position=k,
        sensitivity=np.mean(sensitivities, axis=0),
        precision=np.mean(precisions, axis=0),
        roc_auc=float(at_each_seed(RANKING["roc_auc"], labels, scores_SN).mean()),
        average_precision=float(at_each_seed(RANKING["average_precision"], labels, scores_SN).mean()),
    )
