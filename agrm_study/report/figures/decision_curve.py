"""Decision curves of a task with a positive class: net benefit compared with treating all subjects or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import GREY, ONE_COLUMN_IN, look, name_lines, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.screened import positive_words, screened_cells
from agrm_study.report.wording import percent
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.clinical import net_benefit, treat_all
from agrm_study.study.tasks import Task, task_words

MAX_ARMS = 6
THRESHOLDS = np.linspace(0.01, 0.99, 99)


@dataclass(frozen=True, kw_only=True)
class NetBenefit:
    """Net benefit of one arm by threshold: mean over seeds, lowest and highest seed."""

    arm: str
    position: int
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, kw_only=True)
class DecisionCurveInfo:
    """Net benefit of each arm, reference first, and of treating all at the test set's prevalence."""

    arms: tuple[NetBenefit, ...]
    everybody: Floats
    prevalence: float
    n_subjects: int
    task: Task
    left_out: tuple[str, ...]


class DecisionCurve(FigureKind[DecisionCurveInfo]):
    """Net benefit against the threshold probability."""

    name: ClassVar[str] = "decision_curve"
    question: ClassVar[str] = "Does acting on the score have a higher net benefit than treating all or none?"
    needs: ClassVar[str] = "finished trials on a task with a positive class"

    def info(self, m: Measurements) -> DecisionCurveInfo | None:
        study = m.evidence.study
        places = {a.name: i for i, a in enumerate(study.arms)}
        names = sorted(places, key=lambda n: n != study.reference)
        cells = screened_cells(m, names)
        if not cells:
            return None
        task = cells[0][0]  # net benefits of different tasks are not comparable on one scale
        found = [(n, c) for t, n, c in cells if t == task]
        arms = []
        for name, cell in found[:MAX_ARMS]:
            by_seed = net_benefit(cell.labels_N == 1, cell.probs_SNK[:, :, 1], THRESHOLDS)
            arms.append(
                NetBenefit(
                    arm=name,
                    position=places[name],
                    mean=by_seed.mean(axis=0),
                    low=by_seed.min(axis=0),
                    high=by_seed.max(axis=0),
                )
            )
        share = float((found[0][1].labels_N == 1).mean())
        return DecisionCurveInfo(
            arms=tuple(arms),
            everybody=treat_all(share, THRESHOLDS),
            prevalence=share,
            n_subjects=found[0][1].n_subjects,
            task=task,
            left_out=tuple(n for n, _ in found[MAX_ARMS:])
            + tuple(f"the task {task_words(t.name)}" for t in dict.fromkeys(t for t, _, _ in cells) if t != task),
        )

    def draw(self, info: DecisionCurveInfo) -> Figure:
        with styled():
            figure = Figure(figsize=(ONE_COLUMN_IN + 0.9, 2.7), layout="constrained")
            axes: Any = figure.subplots()
            soft_grid(axes, "both")
            x = 100 * THRESHOLDS
            axes.plot(x, info.everybody, color=GREY, linewidth=0.9, label="treat all")
            axes.axhline(0, color="black", linewidth=0.9, label="treat none")
            for a in info.arms:
                line = axes.plot(x, a.mean, **look(a.position), label=name_lines([a.arm], 24)[0])[0]
                axes.fill_between(x, a.low, a.high, color=line.get_color(), alpha=0.10, linewidth=0)
            top = max(info.prevalence, *(float(a.high.max()) for a in info.arms))
            axes.set_ylim(-0.12 * top, 1.06 * top)
            axes.set_xlim(0, 100)
            axes.set_xlabel("Threshold probability (%)")
            axes.set_ylabel("Net benefit")
            figure.legend(loc="outside lower center", ncols=3)
            return figure

    def caption(self, info: DecisionCurveInfo) -> str:
        rest = f" Not shown: {', '.join(info.left_out)}." if info.left_out else ""
        return (
            f"Decision curve of the {task_words(info.task.name)} task on N = {info.n_subjects} test subjects "
            f"({percent(info.prevalence)}% {positive_words(info.task)}): net benefit (true positives minus false "
            "positives weighted by the odds of the threshold, per subject) of acting at a threshold probability; "
            "lines: mean over seeds, bands: lowest to highest seed. The curve is valid only at the prevalence of this "
            f"test set.{rest}"
        )
