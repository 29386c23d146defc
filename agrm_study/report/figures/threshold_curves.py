"""Curves over all decision thresholds by arm, shared by the ROC and precision–recall figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from agrm_study.report.figures.style import look, name_lines, soft_grid
from agrm_study.report.measure import Measurements
from agrm_study.report.screened import panel_titles, positives_of, screened_cells, tasks_and_subjects
from agrm_study.statistics.arrays import Bools, Floats
from agrm_study.statistics.curve_bands import Band, Heights, curve_band
from agrm_study.statistics.estimators import Interval

MAX_ARMS = 8
Curve = TypeVar("Curve")


@dataclass(frozen=True, kw_only=True)
class ArmCurves(Generic[Curve]):
    """Curves of one arm on one task.

    Attributes:
        arm: Title of its panel.
        position: Position of the arm in the study, which determines its colour.
        seeds: One curve for each seed for which it is defined.
        band: Mean curve over seeds with its interval.
        area: Area under the curve, mean over seeds.
        interval: Interval of the area.
        prevalence: Share of positive subjects.
    """

    arm: str
    position: int
    seeds: tuple[Curve, ...]
    band: Band
    area: float
    interval: Interval
    prevalence: float


@dataclass(frozen=True, kw_only=True)
class Curves(Generic[Curve]):
    """Curves of each arm, in the order of the study."""

    arms: tuple[ArmCurves[Curve], ...]
    subjects: str
    positives: str
    left_out: tuple[str, ...]

    @property
    def not_shown(self) -> str:
        """End of the caption, listing the arms without a panel."""
        return f" Not shown: {', '.join(self.left_out)}." if self.left_out else ""


def curves_of(
    m: Measurements,
    metric: str,
    curve: Callable[[Bools, Floats], Curve | None],
    heights: Heights,
    grid: Floats,
) -> Curves[Curve] | None:
    """Curves of the tasks with a positive class; None if no arm has one.

    Args:
        m: Measurements of the study.
        metric: Name of the metric for the area under the curve.
        curve: Function that computes the curve of one seed from positive subjects and scores; None if undefined.
        heights: Function that computes the heights of a curve on the grid, for the band.
        grid: Values of the horizontal axis.
    """
    places = {a.name: i for i, a in enumerate(m.evidence.study.arms)}
    found = screened_cells(m, places)
    titles = panel_titles(found)
    arms = []
    for title, (task, name, cell) in zip(titles[:MAX_ARMS], found, strict=False):
        positive = cell.labels_N == 1
        seeds = []
        for scores in cell.probs_SNK[:, :, 1]:
            here = ~np.isnan(scores)
            drawn = curve(positive[here], scores[here])
            if drawn is not None:
                seeds.append(drawn)
        measured = m.metric(name, task.name, metric)
        if not seeds or measured is None:
            continue
        arms.append(
            ArmCurves(
                arm=title,
                position=places[name],
                seeds=tuple(seeds),
                band=curve_band(positive, cell.probs_SNK[:, :, 1], heights, grid, cell.fold_SN),
                area=measured.summary.mean,
                interval=measured.interval,
                prevalence=float(positive.mean()),
            )
        )
    if not arms:
        return None
    return Curves(
        arms=tuple(arms),
        subjects=tasks_and_subjects(found),
        positives=positives_of(found),
        left_out=tuple(titles[MAX_ARMS:]),
    )


def draw_band(axes: Any, arm: ArmCurves[Curve], grid: Floats, draw_seed: Callable[[Curve, str], object]) -> None:
    """Draw the band, the curve of each seed, and the mean.

    Args:
        axes: Axes of the panel.
        arm: Curves of the arm.
        grid: Values of the horizontal axis.
        draw_seed: Function that draws the curve of one seed in a colour.
    """
    colour = look(arm.position)["color"]
    axes.fill_between(100 * grid, 100 * arm.band.low, 100 * arm.band.high, color=colour, alpha=0.15, linewidth=0)
    for seed in arm.seeds:
        draw_seed(seed, colour)
    axes.plot(100 * grid, 100 * arm.band.mean, color=colour, linewidth=1.5)


def prepare_panel(
    axes: Any, arm: ArmCurves[Curve], x_limits: tuple[float, float], y_limits: tuple[float, float]
) -> None:
    """Grid, title, limits and ticks of a panel, in percent."""
    soft_grid(axes, "both")
    axes.set_title("\n".join(name_lines([arm.arm], 19)))
    axes.set_xlim(*x_limits)
    axes.set_ylim(*y_limits)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_yticks([0, 25, 50, 75, 100])
