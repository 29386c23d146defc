"""ROC curves of tasks with a positive class: sensitivity against false-positive rate over all thresholds."""

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
from agrm_study.statistics.curve_bands import sensitivity_at
from agrm_study.statistics.ranking import Roc, roc_curve

GRID = np.linspace(0, 1, 101)


class RocCurves(FigureKind[Curves[Roc]]):
    """ROC curves with one line per seed and a band."""

    name: ClassVar[str] = "roc"
    question: ClassVar[str] = "How many positive subjects are detected at each rate of false alarms?"
    needs: ClassVar[str] = "finished trials on a task with a positive class"

    def info(self, m: Measurements) -> Curves[Roc] | None:
        return curves_of(m, "roc_auc", _curve, sensitivity_at, GRID)

    def draw(self, info: Curves[Roc]) -> Figure:
        with styled():
            figure, panels = curve_panels(
                len(info.arms), x_title="1 − specificity (%)", y_title="Sensitivity (%)", narrowest_in=2.4
            )
            for axes, arm in zip(panels, info.arms, strict=True):
                self._panel(axes, arm)
            return figure

    def _panel(self, axes: Any, arm: ArmCurves[Roc]) -> None:
        def seed(c: Roc, colour: str) -> None:
            axes.plot(100 * c.false_positive_rate, 100 * c.true_positive_rate, color=colour, linewidth=0.5, alpha=0.55)

        prepare_panel(axes, arm, (-1, 101), (-1, 102))
        axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=0.9)
        draw_band(axes, arm, GRID, seed)
        said = f"AUC {percent(arm.area)}" + (f"\n{bracket(arm.interval)}" if arm.interval.defined else "")
        axes.text(99, 4, said, fontsize=6.5, va="bottom", ha="right")

    def caption(self, info: Curves[Roc]) -> str:
        return (
            f"ROC curves of the {info.subjects}; {info.positives}. Thin lines: single seeds; thick line and band: mean "
            "over seeds at equal false-positive rate, with its pointwise 95% interval over seeds and subjects (none "
            "for one seed); dotted: a chance ranking. AUC: area under the curve, mean over seeds, with its 95% "
            f"interval.{info.not_shown}"
        )


def _curve(positive_N: Bools, scores_N: Floats) -> Roc | None:
    return roc_curve(positive_N, scores_N) if positive_N.any() and not positive_N.all() else None
