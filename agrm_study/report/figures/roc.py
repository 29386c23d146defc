"""ROC curves of tasks with a positive class: sensitivity against false-positive rate over all thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.curve_panels import curve_panels
from agrm_study.report.figures.style import GREY, look, name_lines, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.screened import panel_titles, positives_of, screened_cells, tasks_and_subjects
from agrm_study.report.wording import bracket, percent
from agrm_study.statistics.curve_bands import Band, curve_band, sensitivity_at
from agrm_study.statistics.estimators import Interval
from agrm_study.statistics.ranking import Roc, roc_curve

MAX_ARMS = 8
GRID = np.linspace(0, 1, 101)


@dataclass(frozen=True, kw_only=True)
class RocArm:
    """Curves of one arm: one per seed, their mean with its interval at equal false-positive rates, and the AUC."""

    arm: str
    position: int
    seeds: tuple[Roc, ...]
    band: Band
    area: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class RocInfo:
    """Curves of each arm, in the order of the study."""

    arms: tuple[RocArm, ...]
    subjects: str
    positives: str
    left_out: tuple[str, ...]


class RocCurves(FigureKind[RocInfo]):
    """ROC curves with one line per seed and a band."""

    name: ClassVar[str] = "roc"
    question: ClassVar[str] = "How many positive subjects are found at which rate of false alarms?"
    needs: ClassVar[str] = "finished trials on a task with a positive class"

    def info(self, m: Measurements) -> RocInfo | None:
        places = {a.name: i for i, a in enumerate(m.evidence.study.arms)}
        found = screened_cells(m, places)
        titles = panel_titles(found)
        arms = []
        for title, (task, name, cell) in zip(titles[:MAX_ARMS], found, strict=False):
            curves = []
            for scores in cell.probs_SNK[:, :, 1]:
                here = ~np.isnan(scores)
                positive = cell.labels_N[here] == 1
                if positive.any() and not positive.all():
                    curves.append(roc_curve(positive, scores[here]))
            measured = m.metric(name, task.name, "roc_auc")
            if not curves or measured is None:
                continue
            arms.append(
                RocArm(
                    arm=title,
                    position=places[name],
                    seeds=tuple(curves),
                    band=curve_band(cell.labels_N == 1, cell.probs_SNK[:, :, 1], sensitivity_at, GRID),
                    area=measured.summary.mean,
                    interval=measured.interval,
                )
            )
        if not arms:
            return None
        return RocInfo(
            arms=tuple(arms),
            subjects=tasks_and_subjects(found),
            positives=positives_of(found),
            left_out=tuple(titles[MAX_ARMS:]),
        )

    def draw(self, info: RocInfo) -> Figure:
        with styled():
            figure, panels = curve_panels(
                len(info.arms), x_title="1 − specificity (%)", y_title="Sensitivity (%)", narrowest_in=2.4
            )
            for axes, arm in zip(panels, info.arms, strict=True):
                self._panel(axes, arm)
            return figure

    def _panel(self, axes: Any, arm: RocArm) -> None:
        soft_grid(axes, "both")
        colour = look(arm.position)["color"]
        axes.plot([0, 100], [0, 100], color=GREY, linestyle=":", linewidth=0.9)
        axes.fill_between(100 * GRID, 100 * arm.band.low, 100 * arm.band.high, color=colour, alpha=0.15, linewidth=0)
        for c in arm.seeds:
            axes.plot(100 * c.false_positive_rate, 100 * c.true_positive_rate, color=colour, linewidth=0.5, alpha=0.55)
        axes.plot(100 * GRID, 100 * arm.band.mean, color=colour, linewidth=1.5)
        said = f"AUC {percent(arm.area)}" + (f"\n{bracket(arm.interval)}" if arm.interval.defined else "")
        axes.text(99, 4, said, fontsize=6.5, va="bottom", ha="right")
        axes.set_title("\n".join(name_lines([arm.arm], 19)))
        axes.set_xlim(-1, 101)
        axes.set_ylim(-1, 102)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.set_yticks([0, 25, 50, 75, 100])

    def caption(self, info: RocInfo) -> str:
        rest = f" Not shown: {', '.join(info.left_out)}." if info.left_out else ""
        return (
            f"ROC curves of the {info.subjects}; {info.positives}. Thin lines: single seeds; thick line and band: mean "
            "over seeds at equal false-positive rate, with its pointwise 95% interval over seeds and subjects (none "
            "for one seed); dotted: a chance ranking. AUC: area under the curve, mean over seeds, with its 95% "
            f"interval.{rest}"
        )
