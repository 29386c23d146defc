"""Precision–recall curves of tasks with a positive class."""

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
from agrm_study.statistics.curve_bands import Band, curve_band, precision_at_recall
from agrm_study.statistics.estimators import Interval
from agrm_study.statistics.ranking import PrecisionRecall, precision_recall_curve

MAX_ARMS = 8
GRID = np.linspace(0, 1, 101)[1:]


@dataclass(frozen=True, kw_only=True)
class PrArm:
    """Curves of one arm: one per seed, their mean with its interval at equal recalls, average precision and prevalence.

    The prevalence is the precision of a random ranking.
    """

    arm: str
    position: int
    seeds: tuple[PrecisionRecall, ...]
    band: Band
    average_precision: float
    prevalence: float
    interval: Interval


@dataclass(frozen=True, kw_only=True)
class PrInfo:
    """Curves of each arm, in the order of the study."""

    arms: tuple[PrArm, ...]
    subjects: str
    positives: str
    left_out: tuple[str, ...]


class PrCurves(FigureKind[PrInfo]):
    """Precision–recall curves with one line per seed, a band, and the prevalence."""

    name: ClassVar[str] = "pr"
    question: ClassVar[str] = "At which price in false alarms are positive subjects found?"
    needs: ClassVar[str] = "finished trials on a task with a positive class"

    def info(self, m: Measurements) -> PrInfo | None:
        places = {a.name: i for i, a in enumerate(m.evidence.study.arms)}
        found = screened_cells(m, places)
        titles = panel_titles(found)
        arms = []
        for title, (task, name, cell) in zip(titles[:MAX_ARMS], found, strict=False):
            curves = []
            for scores in cell.probs_SNK[:, :, 1]:
                here = ~np.isnan(scores)
                if (cell.labels_N[here] == 1).any():
                    curves.append(precision_recall_curve(cell.labels_N[here] == 1, scores[here]))
            measured = m.metric(name, task.name, "average_precision")
            if not curves or measured is None:
                continue
            arms.append(
                PrArm(
                    arm=title,
                    position=places[name],
                    seeds=tuple(curves),
                    band=curve_band(cell.labels_N == 1, cell.probs_SNK[:, :, 1], precision_at_recall, GRID),
                    average_precision=measured.summary.mean,
                    prevalence=float((cell.labels_N == 1).mean()),
                    interval=measured.interval,
                )
            )
        if not arms:
            return None
        return PrInfo(
            arms=tuple(arms),
            subjects=tasks_and_subjects(found),
            positives=positives_of(found),
            left_out=tuple(titles[MAX_ARMS:]),
        )

    def draw(self, info: PrInfo) -> Figure:
        with styled():
            figure, panels = curve_panels(
                len(info.arms), x_title="Recall (%)", y_title="Precision (%)", narrowest_in=3.4
            )
            for axes, arm in zip(panels, info.arms, strict=True):
                self._panel(axes, arm)
            return figure

    def _panel(self, axes: Any, arm: PrArm) -> None:
        soft_grid(axes, "both")
        colour = look(arm.position)["color"]
        axes.fill_between(100 * GRID, 100 * arm.band.low, 100 * arm.band.high, color=colour, alpha=0.15, linewidth=0)
        for c in arm.seeds:
            axes.step(100 * c.recall, 100 * c.precision, where="pre", color=colour, linewidth=0.5, alpha=0.55)
        axes.plot(100 * GRID, 100 * arm.band.mean, color=colour, linewidth=1.5)
        axes.axhline(100 * arm.prevalence, color=GREY, linestyle=":", linewidth=0.9)
        said = f"AP {percent(arm.average_precision)}"
        if arm.interval.defined:
            said += f"\n{bracket(arm.interval)}"
        said += f"\nprevalence {percent(arm.prevalence, 0)}"
        free = {"y": 4, "va": "bottom", "x": 3, "ha": "left"}
        if arm.prevalence < 0.4:  # the curves fall to the prevalence, which leaves space at the upper right
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
            f"Precision–recall curves of the {info.subjects}; {info.positives}. Thin lines: single seeds; thick line "
            "and band: mean over seeds at equal recall, with its pointwise 95% interval over seeds and subjects (none "
            "for one seed); dotted: prevalence, the precision of a chance ranking. AP: average precision without "
            f"interpolation, mean over seeds, with its 95% interval.{rest}"
        )
