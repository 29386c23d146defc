"""Interaction of the teacher's EMA decay α and the threshold τ, on validation data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from agrm_study.report.facts import of_arm, trial_facts
from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.style import ONE_COLUMN_IN, TWO_COLUMNS_IN, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, span
from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.study.tasks import task_title

ALPHA, TAU = "ssl.ema.alpha", "ssl.threshold.tau"


@dataclass(frozen=True, kw_only=True)
class AlphaTauInfo:
    """Mean validation metric by task, α (rows) and τ (columns); NaN for untrained combinations."""

    metric: str
    alphas: tuple[float, ...]
    taus: tuple[float, ...]
    tasks: tuple[str, ...]
    means: tuple[Floats, ...]
    counts: tuple[Ints, ...]


class AlphaTau(FigureKind[AlphaTauInfo]):
    """Heat map of the validation metric over α and τ."""

    name: ClassVar[str] = "alpha_tau"
    question: ClassVar[str] = "Do the EMA coefficient and the threshold interact?"
    needs: ClassVar[str] = "arms with at least two values of α and two of a fixed τ"

    def info(self, m: Measurements) -> AlphaTauInfo | None:
        study = m.evidence.study
        arms = [
            a
            for a in study.arms
            if a.has_mtm and a.recipe.ssl.threshold.policy == "fixed" and a.recipe.ssl.ema.memory_epochs is None
        ]
        alphas = tuple(sorted({a.recipe.ssl.ema.alpha for a in arms}))
        taus = tuple(sorted({a.recipe.ssl.threshold.tau for a in arms}))
        if len(alphas) < 2 or len(taus) < 2:
            return None
        facts = trial_facts(m.evidence, m.evidence.trials)
        metric = study.primary_metric if f"val_{study.primary_metric}" in facts else "macro_f1"
        means, counts = [], []
        for task in study.tasks:
            scores: dict[tuple[int, int], list[float]] = {}
            for a in arms:
                key = alphas.index(a.recipe.ssl.ema.alpha), taus.index(a.recipe.ssl.threshold.tau)
                found = of_arm(m.evidence, facts, a.name, task)[f"val_{metric}"].dropna()
                scores.setdefault(key, []).extend(float(v) for v in found)
            mean = np.full((len(alphas), len(taus)), np.nan)
            n = np.zeros(mean.shape, dtype=np.int64)
            for key, values in scores.items():
                if values:
                    mean[key], n[key] = np.mean(values), len(values)
            means.append(mean)
            counts.append(n)
        if all(np.isnan(x).all() for x in means):
            return None
        return AlphaTauInfo(
            metric=metric, alphas=alphas, taus=taus, tasks=tuple(study.tasks), means=tuple(means), counts=tuple(counts)
        )

    def draw(self, info: AlphaTauInfo) -> Figure:
        with styled():
            n = len(info.tasks)
            width = TWO_COLUMNS_IN if n > 1 else ONE_COLUMN_IN
            figure = Figure(figsize=(width, 0.36 * len(info.alphas) + 1.05), layout="constrained")
            grid: Any = figure.subplots(1, n, squeeze=False, sharey=True)[0]
            for j, (axes, task, mean) in enumerate(zip(grid, info.tasks, info.means, strict=True)):
                image = axes.imshow(100 * mean, cmap="cividis", aspect="auto", origin="lower")
                self._numbers(axes, mean)
                axes.set_xticks(range(len(info.taus)), [f"{t:g}" for t in info.taus])
                axes.set_yticks(range(len(info.alphas)), [f"{a:g}" for a in info.alphas])
                axes.tick_params(length=0)
                axes.spines[:].set_visible(False)
                axes.set_xlabel("Threshold τ")
                axes.set_title(task_title(task))
                if j == 0:
                    axes.set_ylabel("EMA α")
                bar = figure.colorbar(image, ax=axes, pad=0.02, fraction=0.06)
                bar.outline.set_visible(False)
                bar.set_label(f"Validation {METRIC_TITLES[info.metric]} (%)" if j == n - 1 else "")
            return figure

    def _numbers(self, axes: Any, mean: Floats) -> None:
        low, high = np.nanmin(mean), np.nanmax(mean)
        for (i, j), value in np.ndenumerate(mean):
            if np.isnan(value):
                axes.text(j, i, "–", ha="center", va="center", color="#6E6E6E")
                continue
            light = (value - low) / (high - low) < 0.55 if high > low else True
            axes.text(
                j, i, f"{100 * value:.1f}", ha="center", va="center", color="white" if light else "black", fontsize=7
            )

    def caption(self, info: AlphaTauInfo) -> str:
        n = span(int(x) for c in info.counts for x in c.ravel() if x)
        return (
            f"{METRIC_NAMES[info.metric].capitalize()} on validation data (never on test data) by EMA coefficient α "
            f"and threshold τ: mean over {n} trials per cell."
        )
