"""Forest plot of each arm's difference from the reference, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import (
    COLOURS,
    GREY,
    ONE_COLUMN_IN,
    TWO_COLUMNS_IN,
    name_lines,
    soft_grid,
    styled,
    task_grid,
)
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, bracket, points
from agrm_study.statistics.estimators import Interval
from agrm_study.study.tasks import task_title


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """Δ of one arm on one task: over all seeds, and for each seed if seeds are paired."""

    arm: str
    task: str
    delta: float
    interval: Interval
    by_seed: tuple[float, ...]
    dagger: bool


@dataclass(frozen=True, kw_only=True)
class ForestInfo:
    """Rows in the order of the study."""

    metric: str
    reference: str
    tasks: tuple[str, ...]
    rows: tuple[ForestRow, ...]


class Forest(FigureKind[ForestInfo]):
    """Difference of each arm from the reference with its interval, one row per arm."""

    name: ClassVar[str] = "forest"
    question: ClassVar[str] = "How far is each arm from the reference?"
    needs: ClassVar[str] = "a reference and another arm, both with two finished seeds and enough test subjects"

    def info(self, m: Measurements) -> ForestInfo | None:
        study = m.evidence.study
        if study.reference is None:
            return None
        rows = []
        for task in study.tasks:
            reference = m.cell(study.reference, task)
            for arm in (a.name for a in study.arms):
                c, cell = m.compared().get((arm, task)), m.cell(arm, task)
                if c is None or c.difference is None or cell is None or reference is None:
                    continue
                own = dict(zip(cell.seeds, cell.values(study.primary_metric), strict=True))
                base = dict(zip(reference.seeds, reference.values(study.primary_metric), strict=True))
                by_seed = tuple(float(own[s] - base[s]) for s in own if s in base)
                rows.append(
                    ForestRow(
                        arm=arm,
                        task=task,
                        delta=c.difference.delta,
                        interval=c.difference.interval,
                        by_seed=by_seed,
                        dagger=c.dagger,
                    )
                )
        if not any(r.interval.defined for r in rows):
            return None
        return ForestInfo(
            metric=study.primary_metric,
            reference=study.reference,
            tasks=tuple(t for t in study.tasks if any(r.task == t for r in rows)),
            rows=tuple(rows),
        )

    def draw(self, info: ForestInfo) -> Figure:
        with styled():
            n = max(sum(r.task == t for r in info.rows) for t in info.tasks)
            width = TWO_COLUMNS_IN if len(info.tasks) > 1 else ONE_COLUMN_IN + 0.6
            rows, columns = task_grid(len(info.tasks))
            figure = Figure(figsize=(width, rows * (0.34 * n + 0.75)), layout="constrained")
            panels: Any = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
            for axes, task in zip(panels, info.tasks, strict=False):
                self._panel(axes, info, [r for r in info.rows if r.task == task], task)
            for axes in panels[len(info.tasks) :]:
                axes.set_axis_off()
            return figure

    def _panel(self, axes: Any, info: ForestInfo, rows: list[ForestRow], task: str) -> None:
        soft_grid(axes, "x")
        axes.axvline(0, color=GREY, linewidth=0.9)
        for y, r in enumerate(rows):
            axes.plot([100 * v for v in r.by_seed], [y + 0.22] * len(r.by_seed), "|", color=GREY, markersize=4, mew=0.8)
            if r.interval.defined:
                ends = [100 * r.interval.low, 100 * r.interval.high]
                axes.plot(ends, [y, y], "-", color=COLOURS[0], linewidth=1.4, solid_capstyle="butt")
            fill = COLOURS[0] if r.dagger else "white"
            axes.plot(100 * r.delta, y, "s", color=COLOURS[0], markerfacecolor=fill, markersize=4.5)
        axes.set_yticks(range(len(rows)), name_lines([r.arm for r in rows], 24))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(rows)), [f"{points(r.delta)} {bracket(r.interval)}" for r in rows])
        right.tick_params(length=0, labelsize=6.5)
        right.spines["right"].set_visible(False)
        axes.set_title(task_title(task))
        axes.set_xlabel(f"Δ{METRIC_TITLES[info.metric]} to {info.reference} (points)")

    def caption(self, info: ForestInfo) -> str:
        return (
            f"Difference in {METRIC_NAMES[info.metric]} from {info.reference} in percentage points. Squares: mean over "
            f"seeds; lines: 95% intervals over seeds and subjects, not adjusted for multiple comparisons; ticks: "
            "differences for single seeds. Filled squares: Holm-adjusted p < .05."
        )
