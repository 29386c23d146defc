"""Figure of the primary metric on external sets and on the internal test part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from matplotlib.figure import Figure

from agrm_study.report.external import external_results
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import (
    COLOURS,
    GREY,
    MARKERS,
    ONE_COLUMN_IN,
    TWO_COLUMNS_IN,
    name_lines,
    soft_grid,
    styled,
    task_grid,
)
from agrm_study.report.measure import Measured, Measurements
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, sentence_case
from agrm_study.study.tasks import task_title

INTERNAL = "internal test"


@dataclass(frozen=True, kw_only=True)
class ExternalInfo:
    """The metric by task and arm, on the internal test part and on each set, in the order of `places`."""

    metric: str
    places: tuple[str, ...]
    panels: dict[str, dict[str, dict[str, Measured]]]


class ExternalResults(FigureKind[ExternalInfo]):
    """One row per arm: the internal test part and each external set, with intervals."""

    name: ClassVar[str] = "external"
    question: ClassVar[str] = "How much worse are the networks on external data?"
    needs: ClassVar[str] = "an external set that has been evaluated (`agrm-study evaluate RESULTS --manifest FILE`)"

    def info(self, m: Measurements) -> ExternalInfo | None:
        metric = m.evidence.study.primary_metric
        found: dict[str, dict[str, dict[str, Measured]]] = {}
        for each in m.external:
            for result in external_results(m, each):
                values = found.setdefault(result.task, {}).setdefault(result.arm, {})
                if result.internal is not None:
                    values[INTERNAL] = result.internal
                if (x := result.metric(metric)) is not None:
                    values[each.about.name] = x
        order = [arm.name for arm in m.evidence.study.arms]
        panels = {
            task: {arm: found[task][arm] for arm in order if found[task].get(arm)}
            for task in m.evidence.study.tasks
            if task in found
        }
        panels = {task: arms for task, arms in panels.items() if any(set(v) - {INTERNAL} for v in arms.values())}
        if not panels:
            return None
        return ExternalInfo(metric=metric, places=(INTERNAL, *(each.about.name for each in m.external)), panels=panels)

    def draw(self, info: ExternalInfo) -> Figure:
        with styled():
            n = max(len(arms) for arms in info.panels.values())
            rows, columns = task_grid(len(info.panels))
            width = TWO_COLUMNS_IN if columns > 1 else ONE_COLUMN_IN + 0.6
            step = 0.16 * len(info.places) + 0.2
            figure = Figure(figsize=(width, rows * (step * n + 0.75) + 0.25), layout="constrained")
            panels: Any = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
            handles: dict[str, Any] = {}
            for axes, (task, arms) in zip(panels, info.panels.items(), strict=False):
                self._panel(axes, info, task, arms, handles)
            for axes in panels[len(info.panels) :]:
                axes.set_axis_off()
            names = [place for place in info.places if place in handles]
            figure.legend(
                [handles[name] for name in names], names, loc="outside lower center", ncols=min(4, len(names))
            )
            return figure

    def _panel(
        self, axes: Any, info: ExternalInfo, task: str, arms: dict[str, dict[str, Measured]], handles: dict[str, Any]
    ) -> None:
        soft_grid(axes, "x")
        apart = 0.6 / len(info.places)
        for y, values in enumerate(arms.values()):
            for place, name in enumerate(info.places):
                x = values.get(name)
                if x is None:
                    continue
                at = y + (place - (len(info.places) - 1) / 2) * apart
                colour = GREY if name == INTERNAL else COLOURS[(place - 1) % len(COLOURS)]
                if x.interval.defined:
                    axes.plot([100 * x.interval.low, 100 * x.interval.high], [at, at], "-", color=colour, linewidth=1.2)
                axes.plot(100 * x.values_S, [at] * x.values_S.size, ".", color=colour, markersize=2.5, alpha=0.5)
                shape = MARKERS[place % len(MARKERS)]
                [mark] = axes.plot(100 * x.summary.mean, at, shape, color=colour, markersize=4.5, linestyle="none")
                handles.setdefault(name, mark)
        axes.set_yticks(range(len(arms)), name_lines(list(arms), 24))
        axes.set_ylim(len(arms) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{METRIC_TITLES[info.metric]} (%)")
        axes.set_title(task_title(task))

    def caption(self, info: ExternalInfo) -> str:
        return (
            f"{sentence_case(METRIC_NAMES[info.metric])} of the same networks on the study's own test part and on "
            "external sets. Large markers: mean over seeds; lines: 95% intervals over seeds and subjects; dots: single "
            "seeds."
        )
