"""Figure of the confusion matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import TWO_COLUMNS_IN, name_lines, styled
from agrm_study.report.measure import Measurements
from agrm_study.statistics.arrays import Ints
from agrm_study.statistics.classification import confusion
from agrm_study.study.tasks import class_title, task_title

MAX_ARMS = 6
"""Maximum number of arms shown: the reference, then the first others."""


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Confusion matrix of one arm on one task: counts summed over seeds, rows true, columns predicted."""

    arm: str
    task: str
    classes: tuple[str, ...]
    counts_KK: Ints
    n_seeds: int


@dataclass(frozen=True, kw_only=True)
class ConfusionInfo:
    """Matrices by row (task) and column (arm)."""

    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    matrices: tuple[Matrix, ...]
    left_out: tuple[str, ...]


class Confusion(FigureKind[ConfusionInfo]):
    """Confusion matrices with row percentages and counts, summed over seeds."""

    name: ClassVar[str] = "confusion"
    question: ClassVar[str] = "Which classes are taken for which?"
    needs: ClassVar[str] = "an arm with a finished trial"

    def info(self, m: Measurements) -> ConfusionInfo | None:
        study = m.evidence.study
        names = sorted((a.name for a in study.arms), key=lambda n: n != study.reference)
        matrices = []
        for task in study.tasks:
            for arm in names[:MAX_ARMS]:
                cell = m.cell(arm, task)
                if cell is not None:
                    counts = confusion(cell.labels_N, cell.predicted_SN, len(cell.classes)).sum(axis=0)
                    matrices.append(
                        Matrix(arm=arm, task=task, classes=cell.classes, counts_KK=counts, n_seeds=len(cell.seeds))
                    )
        if not matrices:
            return None
        return ConfusionInfo(
            tasks=tuple(t for t in study.tasks if any(x.task == t for x in matrices)),
            arms=tuple(a for a in names if any(x.arm == a for x in matrices)),
            matrices=tuple(matrices),
            left_out=tuple(names[MAX_ARMS:]),
        )

    def draw(self, info: ConfusionInfo) -> Figure:
        with styled():
            per_row = min(4, len(info.arms))
            lines = [
                (task, info.arms[start : start + per_row])
                for task in info.tasks
                for start in range(0, len(info.arms), per_row)
            ]
            side = TWO_COLUMNS_IN / 4
            figure = Figure(figsize=(max(2, per_row) * side + 0.35, len(lines) * (side + 0.15)), layout="constrained")
            grid: Any = figure.subplots(len(lines), per_row, squeeze=False)
            for i, (task, arms) in enumerate(lines):
                for j in range(per_row):
                    axes = grid[i, j]
                    found = [x for x in info.matrices if j < len(arms) and x.arm == arms[j] and x.task == task]
                    if found:
                        self._matrix(axes, found[0], first=j == 0)
                    else:
                        axes.set_axis_off()
            return figure

    def _matrix(self, axes: Any, matrix: Matrix, *, first: bool) -> None:
        counts = matrix.counts_KK
        total = counts.sum(axis=1, keepdims=True)
        share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        k = len(matrix.classes)
        for row in range(k):
            for column in range(k):
                colour = "white" if share[row, column] > 0.55 else "black"
                text = f"{100 * share[row, column]:.0f}%\n{counts[row, column]:,}" if total[row, 0] else "–"
                axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7 if k == 2 else 6.5)
        names = name_lines([class_title(c) for c in matrix.classes], 8)
        axes.set_xticks(range(k), names)
        axes.set_yticks(range(k), names if first else [""] * k)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title("\n".join(name_lines([matrix.arm], 24)))
        axes.set_xlabel("Predicted")
        if first:
            axes.set_ylabel(f"{task_title(matrix.task)}\nTrue")

    def caption(self, info: ConfusionInfo) -> str:
        seeds = sorted({x.n_seeds for x in info.matrices})
        n = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        rest = f" Not shown: {', '.join(info.left_out)}." if info.left_out else ""
        return (
            f"Confusion matrices on the test set: percentage of each true class and count, summed over {n} seeds "
            f"(a subject counts once a seed).{rest}"
        )
