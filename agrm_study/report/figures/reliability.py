"""When a network says 80 %, is it right 80 % of the time?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.calibrated import calibrate, mean_in_use
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import COLOURS, GREY, TWO_COLUMNS_IN, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import TASK_TITLES, number
from agrm_study.statistics.calibration import Reliability, reliability
from agrm_study.statistics.estimators import summarise

BINS = 15


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One task of one arm: bins over all seeds, and ECE before and after temperature scaling (mean over seeds)."""

    task: str
    bins: Reliability
    scaled: Reliability | None
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
    """Accuracy against confidence of the reference arm, with the number of decisions in each bin."""

    name: ClassVar[str] = "reliability"
    question: ClassVar[str] = "When a network says 80 %, is it right 80 % of the time?"
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
            if c.probs_after_SNK is not None:
                scaled = reliability(c.probs_after_SNK.reshape(probs.shape)[here], labels[here], BINS)
            panels.append(
                Panel(
                    task=task,
                    bins=reliability(probs[here], labels[here], BINS),
                    scaled=scaled,
                    ece=summarise(c.ece_S).mean,
                    ece_scaled=None if c.ece_after_S is None else summarise(c.ece_after_S).mean,
                    temperature=None if c.temperature_S is None else mean_in_use(c.temperature_S),
                )
            )
        return ReliabilityInfo(arm=arm, panels=tuple(panels), n_seeds=seeds) if panels else None

    def draw(self, info: ReliabilityInfo) -> Figure:
        with styled():
            n = len(info.panels)
            figure = Figure(figsize=(TWO_COLUMNS_IN * 0.72 if n > 1 else TWO_COLUMNS_IN / 2, 3.1), layout="constrained")
            grid: Any = figure.subplots(2, n, squeeze=False, sharex="col", height_ratios=[3.4, 1])
            for j, panel in enumerate(info.panels):
                self._panel(grid[0, j], grid[1, j], panel, first=j == 0)
            return figure

    def _panel(self, top: Any, bottom: Any, panel: Panel, *, first: bool) -> None:
        soft_grid(top, "both")
        top.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=0.9)
        middles = 50 * (panel.bins.edges[:-1] + panel.bins.edges[1:])
        width = 100 / BINS
        shown = np.nan_to_num(100 * panel.bins.accuracy)
        top.bar(middles, shown, width=0.92 * width, color="#BFE0F5", edgecolor=COLOURS[0], linewidth=0.5)
        said = f"ECE {number(panel.ece, 3)}"
        if panel.scaled is not None and panel.ece_scaled is not None and panel.temperature is not None:
            filled = panel.scaled.count > 0
            top.plot(
                100 * panel.scaled.confidence[filled],
                100 * panel.scaled.accuracy[filled],
                "o-",
                color=COLOURS[1],
                linewidth=0.9,
                markersize=3,
                clip_on=False,
            )
            said += f"; {number(panel.ece_scaled, 3)} at T = {number(panel.temperature, 2)}"
        top.text(0, 101.5, said, fontsize=6.5, va="bottom")
        top.set_ylim(0, 100)
        top.set_xlim(0, 100)
        top.set_title(TASK_TITLES[panel.task], pad=12)
        bottom.bar(middles, panel.bins.count, width=0.92 * width, color="#BDBDBD", edgecolor=GREY, linewidth=0.5)
        bottom.set_xlabel("Confidence (%)")
        bottom.margins(y=0.1)
        if first:
            top.set_ylabel("Accuracy (%)")
            bottom.set_ylabel("Decisions")

    def caption(self, info: ReliabilityInfo) -> str:
        return (
            f"Reliability of {info.arm} on the test part, {info.n_seeds} seeds together: accuracy by confidence in "
            f"{BINS} bins (lo, hi], and the number of decisions in each. Bars: as trained; line: after temperature "
            "scaling fitted on validation; dotted: perfect calibration. ECE: expected calibration error, mean over "
            "seeds."
        )
