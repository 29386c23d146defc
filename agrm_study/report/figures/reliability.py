"""Reliability diagram: accuracy of the predictions by confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.calibrated import calibrate, mean_in_use
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import COLOURS, GREY, TWO_COLUMNS_IN, soft_grid, styled, task_grid
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import number
from agrm_study.statistics.calibration import Groups, Reliability, grouped, reliability
from agrm_study.statistics.estimators import Interval, wilson
from agrm_study.study.tasks import task_title

BINS = 15
PER_GROUP, MOST_GROUPS = 8, 10
"""Number of test subjects per group of predictions, and maximum number of groups."""


def _wilson(share: float, n: float) -> Interval:
    """Wilson interval for a proportion among about n subjects."""
    subjects = max(1, round(n))
    return wilson(round(share * subjects), subjects)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One task of one arm: predictions of all seeds, and ECE before and after temperature scaling (mean over seeds).

    Attributes:
        bins: Number of predictions by confidence.
        groups: Accuracy by confidence in groups of equal size.
        ranges: Wilson interval of each group's accuracy, counting every subject once.
        scaled: The groups after temperature scaling.
    """

    task: str
    bins: Reliability
    groups: Groups
    ranges: tuple[Interval, ...]
    scaled: Groups | None
    ece: float
    ece_scaled: float | None
    temperature: float | None


@dataclass(frozen=True, kw_only=True)
class ReliabilityInfo:
    """Panels of the reference arm."""

    arm: str
    panels: tuple[Panel, ...]
    n_seeds: int


class ReliabilityDiagram(FigureKind[ReliabilityInfo]):
    """Accuracy of the reference arm against its confidence, with the number of predictions in each bin."""

    name: ClassVar[str] = "reliability"
    question: ClassVar[str] = "Are predictions with a confidence of 80 % correct in 80 % of cases?"
    needs: ClassVar[str] = "a finished trial of the reference (or of the first arm)"

    def info(self, m: Measurements) -> ReliabilityInfo | None:
        study = m.evidence.study
        if not study.arms:
            return None
        arm = study.reference or study.arms[0].name
        validation = cells_of_part(m.evidence, "val", arms=[arm]).cells
        panels, seeds = [], 0
        for task in study.tasks:
            cell = m.cell(arm, task)
            if cell is None:
                continue
            c = calibrate(cell, validation.get((arm, task)))
            seeds = max(seeds, len(cell.seeds))
            labels = np.tile(cell.labels_N, len(cell.seeds))
            probs = cell.probs_SNK.reshape(-1, len(cell.classes))
            here = ~np.isnan(probs).any(axis=1)
            scaled = None
            n_groups = int(np.clip(cell.n_subjects // PER_GROUP, 2, MOST_GROUPS))
            groups = grouped(probs[here], labels[here], n_groups)
            if c.probs_after_SNK is not None:
                scaled = grouped(c.probs_after_SNK.reshape(probs.shape)[here], labels[here], n_groups)
            panels.append(
                Panel(
                    task=task,
                    bins=reliability(probs[here], labels[here], BINS),
                    groups=groups,
                    ranges=tuple(
                        _wilson(a, n / len(cell.seeds)) for a, n in zip(groups.accuracy, groups.count, strict=True)
                    ),
                    scaled=scaled,
                    ece=c.ece.summary.mean,
                    ece_scaled=None if c.ece_after is None else c.ece_after.summary.mean,
                    temperature=None if c.temperature_S is None else mean_in_use(c.temperature_S),
                )
            )
        return ReliabilityInfo(arm=arm, panels=tuple(panels), n_seeds=seeds) if panels else None

    def draw(self, info: ReliabilityInfo) -> Figure:
        with styled():
            n = len(info.panels)
            rows, columns = task_grid(n)
            width = TWO_COLUMNS_IN * 0.72 if n > 1 else TWO_COLUMNS_IN / 2
            figure = Figure(figsize=(width, 3.1 * rows), layout="constrained")
            grid: Any = figure.subplots(2 * rows, columns, squeeze=False, sharex="col", height_ratios=[3.4, 1] * rows)
            for place, panel in enumerate(info.panels):
                i, j = divmod(place, columns)
                self._panel(grid[2 * i, j], grid[2 * i + 1, j], panel, first=j == 0)
            for place in range(n, rows * columns):
                for axes in grid[2 * (place // columns) :, place % columns]:
                    axes.set_axis_off()
            return figure

    def _panel(self, top: Any, bottom: Any, panel: Panel, *, first: bool) -> None:
        soft_grid(top, "both")
        top.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=0.9)
        middles = 50 * (panel.bins.edges[:-1] + panel.bins.edges[1:])
        width = 100 / BINS
        x, y = 100 * panel.groups.confidence, 100 * panel.groups.accuracy
        for at, r in zip(x, panel.ranges, strict=True):
            top.plot([at, at], [100 * r.low, 100 * r.high], "-", color=COLOURS[0], linewidth=0.9, alpha=0.7)
        top.plot(x, y, "o", color=COLOURS[0], markersize=4, clip_on=False, label="as trained")
        said = f"ECE {number(panel.ece, 3)}"
        if panel.scaled is not None and panel.ece_scaled is not None and panel.temperature is not None:
            x, y = 100 * panel.scaled.confidence, 100 * panel.scaled.accuracy
            top.plot(
                x, y, "D", color=COLOURS[1], markerfacecolor="white", markersize=3.5, clip_on=False, label="scaled"
            )
            said += f"; {number(panel.ece_scaled, 3)} at T = {number(panel.temperature, 2)}"
        top.text(0, 101.5, said, fontsize=6.5, va="bottom")
        top.set_ylim(0, 100)
        top.set_xlim(0, 100)
        top.set_title(task_title(panel.task), pad=12)
        bottom.bar(middles, panel.bins.count, width=0.92 * width, color="#BDBDBD", edgecolor=GREY, linewidth=0.5)
        bottom.set_xlabel("Confidence (%)")
        bottom.margins(y=0.1)
        if first:
            top.set_ylabel("Accuracy (%)")
            bottom.set_ylabel("Decisions")

    def caption(self, info: ReliabilityInfo) -> str:
        return (
            f"Reliability of {info.arm} on the test part, {info.n_seeds} seeds combined: accuracy by confidence "
            f"in groups of equal size, and the number of decisions in {BINS} bins. Dots: as trained, with 95% Wilson "
            "intervals for the number of subjects in a group; open diamonds: after temperature scaling fitted "
            "on validation data; dotted: perfect calibration. ECE: expected calibration error in the bins, mean over "
            "seeds."
        )
