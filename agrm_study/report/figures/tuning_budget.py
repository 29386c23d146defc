"""Expected best validation score of a search against the number of points tried, one curve per arm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import ONE_COLUMN_IN, TWO_COLUMNS_IN, look, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.tuned import TriedSearch
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.expected_best import expected_best
from agrm_study.study.search_space import OBJECTIVES
from agrm_study.study.tasks import task_title

MIN_POINTS: Final = 3
"""Minimum number of points with a score; with fewer, no curve is drawn."""
BANDS: Final = 4
"""Maximum number of arms with a band; more bands would overlap."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Expected best score of 1 … K points of one arm, and its band; (K,) each."""

    arm: str
    mean_K: Floats
    low_K: Floats
    high_K: Floats
    failed: int


@dataclass(frozen=True, kw_only=True)
class TuningBudgetInfo:
    """The curves of each task."""

    metric: str
    tasks: tuple[tuple[str, tuple[Curve, ...]], ...]


class TuningBudget(FigureKind[TuningBudgetInfo]):
    """Expected best validation score of each arm by search budget."""

    name: ClassVar[str] = "tuning_budget"
    question: ClassVar[str] = "Which validation score can be expected from a search budget?"
    needs: ClassVar[str] = f"a search, or tuned arms, with {MIN_POINTS} points that have a score"

    def info(self, m: Measurements) -> TuningBudgetInfo | None:
        study = m.evidence.study
        if study.search_metric is None:
            return None
        maximize = OBJECTIVES[study.search_metric] == "maximize"
        tasks: dict[str, list[Curve]] = {}
        for search in m.tried:
            curve = _curve(search, maximize)
            if curve is not None:
                tasks.setdefault(search.task, []).append(curve)
        found = tuple((task, tuple(curves)) for task, curves in tasks.items())
        return TuningBudgetInfo(metric=study.search_metric.removeprefix("val/"), tasks=found) if found else None

    def draw(self, info: TuningBudgetInfo) -> Figure:
        scale = 1.0 if info.metric == "loss" else 100.0
        with styled():
            n = len(info.tasks)
            figure = Figure(figsize=(TWO_COLUMNS_IN if n > 1 else ONE_COLUMN_IN, 2.6), layout="constrained")
            grid: Any = figure.subplots(1, n, squeeze=False)[0]
            for axes, (task, curves) in zip(grid, info.tasks, strict=True):
                soft_grid(axes, "y")
                for number, curve in enumerate(curves):
                    budget = np.arange(1, curve.mean_K.size + 1)
                    style = look(number)
                    axes.plot(budget, scale * curve.mean_K, label=curve.arm or "search", **style)
                    if len(curves) <= BANDS:
                        low, high = scale * curve.low_K, scale * curve.high_K
                        axes.fill_between(budget, low, high, color=style["color"], alpha=0.15, linewidth=0)
                axes.set_xlim(left=1)
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                axes.set_xlabel("Points tried (k)")
                axes.set_title(task_title(task))
            handles = {line.get_label(): line for axes in grid for line in axes.get_lines()}
            if len(handles) > 1:
                columns = min(4 if n > 1 else 2, len(handles))
                figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns)
            grid[0].set_ylabel(f"Expected best validation {METRIC_TITLES[info.metric]}{' (%)' if scale > 1 else ''}")
            return figure

    def caption(self, info: TuningBudgetInfo) -> str:
        curves = [curve for _, its in info.tasks for curve in its]
        failed = sum(curve.failed for curve in curves)
        bands = (
            " ± its standard deviation, limited to the range of the observed scores"
            if max(len(its) for _, its in info.tasks) <= BANDS
            else ""
        )
        worst = f" {failed} points that failed count as the worst of their arm." if failed else ""
        return (
            f"Expected best {METRIC_NAMES[info.metric]} on validation data of k random points among those that the "
            f"search of an arm tried{bands} (Dodge et al. 2019); a curve that still rises at its end indicates that "
            f"more points would help. Points of an adaptive sampler are better than random ones.{worst}"
        )


def _curve(search: TriedSearch, maximize: bool) -> Curve | None:
    """The curve of a search; a point without a score counts as the worst of the other scores."""
    known = [point.value for point in search.points if math.isfinite(point.value)]
    if len(known) < MIN_POINTS:
        return None
    failed = len(search.points) - len(known)
    values = [*known, *[min(known) if maximize else max(known)] * failed]
    mean, std = expected_best(values, maximize=maximize)
    low, high = np.clip(mean - std, min(values), None), np.clip(mean + std, None, max(values))
    return Curve(arm=search.arm, mean_K=mean, low_K=low, high_K=high, failed=failed)
