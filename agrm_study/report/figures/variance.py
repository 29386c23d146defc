"""Figure of the sources of variance of each difference (or arm): seeds, subjects, and their interaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from matplotlib.figure import Figure

from agrm_study.report.advice import Outlook
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import COLOURS, ONE_COLUMN_IN, TWO_COLUMNS_IN, name_lines, styled, task_grid
from agrm_study.report.measure import Measurements
from agrm_study.report.tables.variance import outlooks
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, percent
from agrm_study.study.tasks import task_title

MAX_ROWS = 24
FOLDS = "folds"
SOURCES = (
    ("seeds", COLOURS[1], ""),
    ("test subjects", COLOURS[0], ""),
    ("seeds × subjects", "#BDBDBD", "///"),
    (FOLDS, COLOURS[2], "..."),
)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Shares of variance of one mean or difference on one task."""

    arm: str
    outlook: Outlook


@dataclass(frozen=True, kw_only=True)
class VarianceInfo:
    """Bars by task: differences if there is a reference, otherwise means."""

    metric: str
    reference: str | None
    tasks: tuple[str, ...]
    bars: dict[str, tuple[Bar, ...]]
    left_out: int
    folds: bool


class VarianceShares(FigureKind[VarianceInfo]):
    """Stacked shares of variance with the half-width of the interval."""

    name: ClassVar[str] = "variance"
    question: ClassVar[str] = "What are the sources of uncertainty?"
    needs: ClassVar[str] = "an arm with two finished seeds and enough test subjects"

    def info(self, m: Measurements) -> VarianceInfo | None:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        bars: dict[str, tuple[Bar, ...]] = {}
        left_out = 0
        for task in study.tasks:
            found = list(outlooks(m, task, arms))
            kind = "difference" if any(k == "difference" for k, _, _ in found) else "mean"
            mine = [Bar(arm=a, outlook=o) for k, a, o in found if k == kind]
            left_out = max(left_out, len(mine) - MAX_ROWS)
            if mine:
                bars[task] = tuple(mine[:MAX_ROWS])
        if not bars:
            return None
        compared = any(c.difference is not None for c in m.compared().values())
        return VarianceInfo(
            metric=study.primary_metric,
            reference=study.reference if compared else None,
            tasks=tuple(bars),
            bars=bars,
            left_out=max(left_out, 0),
            folds=study.splits is not None,
        )

    def draw(self, info: VarianceInfo) -> Figure:
        with styled():
            n = max(len(bars) for bars in info.bars.values())
            width = TWO_COLUMNS_IN if len(info.tasks) > 1 else ONE_COLUMN_IN + 0.6
            rows, columns = task_grid(len(info.tasks))
            figure = Figure(figsize=(width, rows * (0.26 * n + 0.95)), layout="constrained")
            panels: Any = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
            for axes, task in zip(panels, info.tasks, strict=False):
                self._panel(axes, info, task)
            for axes in panels[len(info.tasks) :]:
                axes.set_axis_off()
            figure.legend(
                *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4 if info.folds else 3
            )
            return figure

    def _panel(self, axes: Any, info: VarianceInfo, task: str) -> None:
        bars = info.bars[task]
        y = range(len(bars))
        left = [0.0] * len(bars)
        for k, (source, colour, hatch) in enumerate(SOURCES):
            widths = [100 * (*b.outlook.shares, b.outlook.folds)[k] for b in bars]
            if source == FOLDS and not info.folds:
                continue
            axes.barh(y, widths, left=left, height=0.62, color=colour, hatch=hatch, edgecolor="white", label=source)
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.set_yticks(y, name_lines([b.arm for b in bars], 24))
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        right = axes.secondary_yaxis("right")
        right.set_yticks(y, [f"±{percent(b.outlook.now)}" for b in bars])
        right.tick_params(length=0, labelsize=6.5)
        right.spines["right"].set_visible(False)
        axes.set_title(task_title(task))
        axes.set_xlabel("Share of the variance (%)")

    def caption(self, info: VarianceInfo) -> str:
        of = (
            f"the difference in {METRIC_NAMES[info.metric]} from {info.reference}"
            if info.reference
            else (f"mean {METRIC_NAMES[info.metric]}")
        )
        rest = f" {info.left_out} more arms are in the variance table." if info.left_out else ""
        folds = "; folds: variance shared by the training runs of a fold" if info.folds else ""
        return (
            f"Sources of the variance of {of}: training runs (seeds), test subjects, and their "
            f"interaction{folds}. Right: half-width of the 95% interval in points of {METRIC_TITLES[info.metric]}. If "
            "a source has a large share, increasing its number narrows the interval; shares estimated from few seeds "
            f"are imprecise.{rest}"
        )
