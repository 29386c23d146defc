"""Figure of the primary metric by severity of each corruption, with a band per arm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import TWO_COLUMNS_IN, look, marker, soft_grid, styled
from agrm_study.report.measure import Measured, Measurements
from agrm_study.report.robustness import robustness_results, title_of
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, sentence_case
from agrm_study.study.tasks import task_title

ACROSS = 3
"""Number of panels per row."""


@dataclass(frozen=True, kw_only=True)
class SeverityCurve:
    """One arm in one panel: severities, means, and interval bounds (the mean itself if there is no interval)."""

    arm: str
    position: int
    severities: tuple[int, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class RobustnessInfo:
    """Curves by task and corruption."""

    metric: str
    panels: dict[tuple[str, str], tuple[SeverityCurve, ...]]

    @property
    def kinds(self) -> dict[str, list[str]]:
        """Corruptions by task."""
        found: dict[str, list[str]] = {}
        for task, kind in self.panels:
            found.setdefault(task, []).append(kind)
        return found


class RobustnessCurves(FigureKind[RobustnessInfo]):
    """Metric against severity, one panel per corruption, one line per arm."""

    name: ClassVar[str] = "robustness"
    question: ClassVar[str] = "How does the metric depend on the quality of recordings?"
    needs: ClassVar[str] = "corrupted copies that have been evaluated (`agrm-study evaluate RESULTS --corrupt all`)"

    def info(self, m: Measurements) -> RobustnessInfo | None:
        order = [arm.name for arm in m.evidence.study.arms]
        panels: dict[tuple[str, str], list[SeverityCurve]] = {}
        for result in robustness_results(m):
            found: dict[int, Measured | None] = {0: result.clean, **result.by_severity}
            known = {s: x for s, x in sorted(found.items()) if x is not None}
            if not known.keys() - {0}:
                continue
            panels.setdefault((result.task, result.kind), []).append(
                SeverityCurve(
                    arm=result.arm,
                    position=order.index(result.arm),
                    severities=tuple(known),
                    means=tuple(x.summary.mean for x in known.values()),
                    lows=tuple(x.interval.low if x.interval.defined else x.summary.mean for x in known.values()),
                    highs=tuple(x.interval.high if x.interval.defined else x.summary.mean for x in known.values()),
                )
            )
        if not panels:
            return None
        return RobustnessInfo(
            metric=m.evidence.study.primary_metric,
            panels={key: tuple(curves) for key, curves in panels.items()},
        )

    def draw(self, info: RobustnessInfo) -> Figure:
        columns = min(ACROSS, max(map(len, info.kinds.values())))
        rows_of = {task: math.ceil(len(kinds) / columns) for task, kinds in info.kinds.items()}
        rows = sum(rows_of.values())
        with styled():
            width = TWO_COLUMNS_IN * max(columns, 2) / ACROSS
            figure = Figure(figsize=(width, 1.9 * rows + 0.45), layout="constrained")
            grid: Any = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
            handles: dict[str, Any] = {}
            row = 0
            for task, kinds in info.kinds.items():
                for place in range(rows_of[task] * columns):
                    axes = grid[row + place // columns, place % columns]
                    if place >= len(kinds):
                        axes.set_axis_off()
                        continue
                    self._panel(axes, info, task, kinds[place], handles)
                    if place % columns == 0:
                        axes.set_ylabel(f"{METRIC_TITLES[info.metric]} (%)")
                    below = place + columns >= len(kinds)
                    if below:
                        axes.set_xlabel("Severity (0: clean)")
                        axes.tick_params(labelbottom=True)
                row += rows_of[task]
            names = sorted(handles, key=lambda name: handles[name][0])
            figure.legend(
                [handles[name][1] for name in names], names, loc="outside lower center", ncols=min(4, len(names))
            )
            return figure

    def _panel(self, axes: Any, info: RobustnessInfo, task: str, kind: str, handles: dict[str, Any]) -> None:
        soft_grid(axes)
        for curve in info.panels[task, kind]:
            style = look(curve.position)
            y = [100 * v for v in curve.means]
            axes.fill_between(
                curve.severities,
                [100 * v for v in curve.lows],
                [100 * v for v in curve.highs],
                color=style["color"],
                alpha=0.12,
                linewidth=0,
            )
            [line] = axes.plot(curve.severities, y, marker=marker(curve.position), markersize=3, **style)
            handles.setdefault(curve.arm, (curve.position, line))
        title = title_of(kind)
        axes.set_title(f"{task_title(task)}: {title.lower()}" if len(info.kinds) > 1 else title)
        axes.set_xticks(range(6))

    def caption(self, info: RobustnessInfo) -> str:
        return (
            f"{sentence_case(METRIC_NAMES[info.metric])} on corrupted copies of the test part by severity; 0 is the "
            "unchanged test part. Markers: mean over seeds; bands: 95% intervals over seeds and subjects. The table "
            "with the same name defines the corruptions."
        )
