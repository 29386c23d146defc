"""Precision–recall curves of tasks with a positive class."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.curve_panels import curve_panels
from agrm_study.report.figures.style import GREY, styled
from agrm_study.report.figures.threshold_curves import ArmCurves, Curves, curves_of, draw_band, prepare_panel
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import bracket, percent
from agrm_study.statistics.arrays import Bools, Floats
from agrm_study.statistics.curve_bands import precision_at_recall
from agrm_study.statistics.ranking import PrecisionRecall, precision_recall_curve

GRID = np.linspace(0, 1, 101)[1:]


class PrCurves(FigureKind[Curves[PrecisionRecall]]):
    """Precision–recall curves with one line per seed, a band, and the prevalence."""

    name: ClassVar[str] = "pr"
    question: ClassVar[str] = "How many false alarms does detecting the positive subjects cost?"
    needs: ClassVar[str] = "finished trials on a task with a positive class"

    def info(self, m: Measurements) -> Curves[PrecisionRecall] | None:
        return curves_of(m, "average_precision", _curve, precision_at_recall, GRID)

    def draw(self, info: Curves[PrecisionRecall]) -> Figure:
        with styled():
            figure, panels = curve_panels(
                len(info.arms), x_title="Recall (%)", y_title="Precision (%)", narrowest_in=3.4
            )
            for axes, arm in zip(panels, info.arms, strict=True):
                self._panel(axes, arm)
            return figure

    def _panel(self, axes: Any, arm: ArmCurves[PrecisionRecall]) -> None:
        def seed(c: PrecisionRecall, colour: str) -> None:
            axes.step(100 * c.recall, 100 * c.precision, where="pre", color=colour, linewidth=0.5, alpha=0.55)

        prepare_panel(axes, arm, (0, 100.5), (0, 102))
        draw_band(axes, arm, GRID, seed)
        axes.axhline(100 * arm.prevalence, color=GREY, linestyle=":", linewidth=0.9)
        said = f"AP {percent(arm.area)}"
        if arm.interval.defined:
            said += f"\n{bracket(arm.interval)}"
        said += f"\nprevalence {percent(arm.prevalence, 0)}"
        free = {"y": 4, "va": "bottom", "x": 3, "ha": "left"}
        if arm.prevalence < 0.4:  # the curves fall to the prevalence, which leaves space at the upper right
            free = {"y": 99, "va": "top", "x": 98, "ha": "right"}
        paper = {"facecolor": "white", "alpha": 0.75, "pad": 0.6, "linewidth": 0}
        axes.text(s=said, fontsize=6.5, bbox=paper, **free)

    def caption(self, info: Curves[PrecisionRecall]) -> str:
        return (
            f"Precision–recall curves of the {info.subjects}; {info.positives}. Thin lines: single seeds; thick line "
            "and band: mean over seeds at equal recall, with its pointwise 95% interval over seeds and subjects (none "
            "for one seed); dotted: prevalence, the precision of a chance ranking. AP: average precision without "
            f"interpolation, mean over seeds, with its 95% interval.{info.not_shown}"
        )


def _curve(positive_N: Bools, scores_N: Floats) -> PrecisionRecall | None:
    return precision_recall_curve(positive_N, scores_N) if positive_N.any() else None
