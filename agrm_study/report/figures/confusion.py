"""Figure of the confusion matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import TWO_COLUMNS_IN, name_lines, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import span
from agrm_study.statistics.arrays import Ints
from agrm_study.statistics.classification import confusion
from agrm_study.study.tasks import MAX_CLASSES, class_title, task_title

MAX_ARMS = 6
"""Maximum number of arms shown: the reference, then the first other arms."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """Sizes in a figure of confusion matrices, determined by the largest number of classes.

    Attributes:
        classes: Largest number of classes.
        per_row: Number of matrices per row.
        arms: Number of arms shown.
        side_in: Side length of a matrix, in inches.
        font: Font size of the numbers, in points; None for a heat map without numbers.
        counts: Whether counts are shown below the percentages.
        label_font: Font size of the class names, in points; None for the default.
    """

    classes: int
    per_row: int
    arms: int
    side_in: float
    font: float | None
    counts: bool
    label_font: float | None = None


SIZES = (
    Size(classes=4, per_row=4, arms=MAX_ARMS, side_in=TWO_COLUMNS_IN / 4, font=6.5, counts=True),
    Size(classes=6, per_row=2, arms=MAX_ARMS, side_in=TWO_COLUMNS_IN / 2, font=7, counts=True),
    Size(classes=12, per_row=2, arms=4, side_in=TWO_COLUMNS_IN / 2, font=6, counts=False, label_font=6),
    Size(classes=MAX_CLASSES, per_row=1, arms=2, side_in=0.85 * TWO_COLUMNS_IN, font=None, counts=False, label_font=5),
)


def size_for(classes: int) -> Size:
    """Sizes for a figure whose largest matrix has this number of classes."""
    return next(size for size in SIZES if classes <= size.classes)


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
    size: Size
    left_out: tuple[str, ...]


class Confusion(FigureKind[ConfusionInfo]):
    """Confusion matrices with row percentages and counts, summed over seeds."""

    name: ClassVar[str] = "confusion"
    question: ClassVar[str] = "Which classes are confused with each other?"
    needs: ClassVar[str] = "an arm with a finished trial"

    def info(self, m: Measurements) -> ConfusionInfo | None:
        study = m.evidence.study
        names = sorted((a.name for a in study.arms), key=lambda n: n != study.reference)
        matrices = []
        size = size_for(max(task.n_classes for task in study.tasks.values()))
        for task in study.tasks:
            for arm in names[: size.arms]:
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
            size=size,
            left_out=tuple(names[size.arms :]),
        )

    def draw(self, info: ConfusionInfo) -> Figure:
        with styled():
            size = info.size
            per_row = min(size.per_row, len(info.arms))
            lines = [
                (task, info.arms[start : start + per_row])
                for task in info.tasks
                for start in range(0, len(info.arms), per_row)
            ]
            side = size.side_in
            width = max(min(2, size.per_row), per_row) * side + 0.35
            figure = Figure(figsize=(width, len(lines) * (side + 0.15)), layout="constrained")
            grid: Any = figure.subplots(len(lines), per_row, squeeze=False)
            for i, (task, arms) in enumerate(lines):
                for j in range(per_row):
                    axes = grid[i, j]
                    found = [x for x in info.matrices if j < len(arms) and x.arm == arms[j] and x.task == task]
                    if found:
                        self._matrix(axes, found[0], size, first=j == 0)
                    else:
                        axes.set_axis_off()
            return figure

    def _matrix(self, axes: Any, matrix: Matrix, size: Size, *, first: bool) -> None:
        counts = matrix.counts_KK
        total = counts.sum(axis=1, keepdims=True)
        share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
        picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        k = len(matrix.classes)
        for row, column in np.ndindex(k, k) if size.font is not None else ():
            colour = "white" if share[row, column] > 0.55 else "black"
            text = f"{100 * share[row, column]:.0f}" + (f"%\n{counts[row, column]:,}" if size.counts else "")
            if not total[row, 0]:
                text = "–"
            font = 7 if k == 2 else size.font
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=font)
        if size.font is None:
            bar = axes.figure.colorbar(picture, ax=axes, shrink=0.6, format=lambda x, _: f"{100 * x:.0f}%")
            bar.outline.set_visible(False)
        plain = size.label_font is None
        names = name_lines([class_title(c) for c in matrix.classes], 8 if plain else 24)
        axes.set_xticks(range(k), names)
        axes.set_yticks(range(k), names if first else [""] * k)
        if not plain:
            axes.tick_params(labelsize=size.label_font)
            axes.tick_params(axis="x", rotation=90)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title("\n".join(name_lines([matrix.arm], 24)))
        axes.set_xlabel("Predicted")
        if first:
            axes.set_ylabel(f"{task_title(matrix.task)}\nTrue")

    def caption(self, info: ConfusionInfo) -> str:
        n = span(x.n_seeds for x in info.matrices)
        rest = f" Not shown: {', '.join(info.left_out)}." if info.left_out else ""
        shown = "percentage of each true class" + (" and count" if info.size.counts else "")
        return (
            f"Confusion matrices on the test set: {shown}, summed over {n} seeds (a subject counts once per seed)."
            f"{rest}"
        )
