"""Precision–recall curves of the two-class task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.curve_panels import curve_panels
from agrm_study.report.figures.style import GREY, look, name_lines, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import bracket, percent
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.estimators import Interval
from agrm_study.statistics.ranking import PrecisionRecall, precision_at, precision_recall_curve

TASK = "two_class"
MAX_ARMS = 8


@dataclass(frozen=True, kw_only=True)
class PrArm:
    """Curves of one arm: one per seed, their mean and range on a grid of recalls, and average precision."""

    arm: str
    position: int
    seeds: tuple[PrecisionRecall, ...]
    recall: Floats
    mean: Floats
    low: Floats
    high: Floats
    average_precision: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class PrInfo:
    """Curves of each arm, and the prevalence, which is the precision of a random ranking."""

    arms: tuple[PrArm, ...]
    prevalence: float
    n_subjects: int
    left_out: tuple[str, ...]


class PrCurves(FigureKind[PrInfo]):
    """Precision–recall curves with one line per seed, a band, and the prevalence."""

    name: ClassVar[str] = "pr"
    question: ClassVar[str] = "At which price in false alarms are abnormal gaits found?"
    needs: ClassVar[str] = "finished trials on the two-class task"

    def info(self, m: Measurements) -> PrInfo | None:
        found = [(i, a.name, c) for i, a in enumerate(m.evidence.study.arms) if (c := m.cell(a.name, TASK)) is not None]
        grid = np.linspace(0, 1, 101)[1:]
        arms = []
        for i, name, cell in found[:MAX_ARMS]:
            curves = []
            for scores in cell.probs_SNK[:, :, 1]:
                here = ~np.isnan(scores)
                if (cell.labels_N[here] == 1).any():
                    curves.append(precision_recall_curve(cell.labels_N[here] == 1, scores[here]))
            measured = m.metric(name, TASK, "average_precision")
            if not curves or measured is None:
                continue
            on_grid = np.stack([precision_at(c, grid) for c in curves])
            arms.append(
                PrArm(
                    arm=name,
                    position=i,
                    seeds=tuple(curves),
                    recall=grid,
                    mean=on_grid.mean(axis=0),
                    low=on_grid.min(axis=0),
                    high=on_grid.max(axis=0),
                    average_precision=measured.summary.mean,
                    interval=measured.interval,
                )
            )
        if not arms:
            return None
        cell = found[0][2]
        return PrInfo(
            arms=tuple(arms),
            prevalence=float((cell.labels_N == 1).mean()),
            n_subjects=cell.n_subjects,
            left_out=tuple(name for _, name, _ in found[MAX_ARMS:]),
        )

    def draw(self, info: PrInfo) -> Figure:
        with styled():
            figure, panels = curve_panels(
                len(info.arms), x_title="Recall (%)", y_title="Precision (%)", narrowest_in=3.4
            )
            for axes, arm in zip(panels, info.arms, strict=True):
                self._panel(axes, info, arm)
            return figure

    def _panel(self, axes: Any, info: PrInfo, arm: PrArm) -> None:
        soft_grid(axes, "both")
        colour = look(arm.position)["color"]
        axes.fill_between(100 * arm.recall, 100 * arm.low, 100 * arm.high, color=colour, alpha=0.15, linewidth=0)
        for c in arm.seeds:
            axes.step(100 * c.recall, 100 * c.precision, where="pre", color=colour, linewidth=0.5, alpha=0.55)
        axes.plot(100 * arm.recall, 100 * arm.mean, color=colour, linewidth=1.5)
        axes.axhline(100 * info.prevalence, color=GREY, linestyle=":", linewidth=0.9)
        said = f"AP {percent(arm.average_precision)}"
        if arm.interval.defined:
            said += f"\n{bracket(arm.interval)}"
        said += f"\nprevalence {percent(info.prevalence, 0)}"
        free = {"y": 4, "va": "bottom", "x": 3, "ha": "left"}
        if info.prevalence < 0.4:  # the curves fall to the prevalence, which leaves space at the upper right
            free = {"y": 99, "va": "top", "x": 98, "ha": "right"}
        paper = {"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0}
        axes.text(s=said, fontsize=6.5, bbox=paper, **free)
        axes.set_title("\n".join(name_lines([arm.arm], 19)))
        axes.set_xlim(0, 100.5)
        axes.set_ylim(0, 102)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.set_yticks([0, 25, 50, 75, 100])

    def caption(self, info: PrInfo) -> str:
        rest = f" Not shown: {', '.join(info.left_out)}." if info.left_out else ""
        return (
            f"Precision–recall curves of the two-class task on N = {info.n_subjects} test subjects; abnormal is "
            "positive. Thin lines: single seeds; thick line and band: mean and range over seeds at equal recall; "
            "dotted: prevalence, the precision of a chance ranking. AP: average precision without interpolation, mean "
            f"over seeds, with its 95% interval over seeds and subjects.{rest}"
        )
