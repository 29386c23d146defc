"""Importance of each setting, by permutation in a random forest and by PED-ANOVA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agrm_study.report.figures.base import FigureKind
from agrm_study.report.figures.ped_anova import best_share, ped_anova
from agrm_study.report.figures.searching import MIN_TRIALS, as_numbers, tried
from agrm_study.report.figures.style import COLOURS, TWO_COLUMNS_IN, soft_grid, styled
from agrm_study.report.measure import Measurements
from agrm_study.report.wording import METRIC_NAMES, number
from agrm_study.study.tasks import task_title, task_words

REPEATS = 20
TREES = 100


@dataclass(frozen=True, kw_only=True)
class TaskImportance:
    """Settings of one task in decreasing order of importance: the decrease in the forest's R² when a setting is
    shuffled.

    Attributes:
        r2: The forest's out-of-bag R², the fraction of the variance explained by the settings.
        shares: PED-ANOVA importances of the settings, which sum to 1; None if no setting distinguishes the best trials.
    """

    task: str
    settings: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    r2: float
    n_trials: int
    shares: tuple[float, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ImportanceInfo:
    """Importances by task."""

    metric: str
    tasks: tuple[TaskImportance, ...]


def _whole(values_N: NDArray[np.floating]) -> NDArray[np.floating]:
    """Fill missing values: trials in which the setting is inactive get a value far below all others."""
    known = values_N[~np.isnan(values_N)]
    below = known.min() - (float(np.ptp(known)) or 1.0) if known.size else 0.0
    return np.where(np.isnan(values_N), below, values_N)


class Importance(FigureKind[ImportanceInfo]):
    """Importance of each setting for the validation metric."""

    name: ClassVar[str] = "importance"
    question: ClassVar[str] = "Which settings mattered?"
    needs: ClassVar[str] = f"{MIN_TRIALS} completed trials in which at least two settings vary"

    def info(self, m: Measurements) -> ImportanceInfo | None:
        found, metric = [], "macro_f1"
        for task in m.evidence.study.tasks:
            known = tried(m, task)
            if known is not None and known[0].shape[1] >= 2:
                factors, scores, column = known
                metric = column.removeprefix("val_")
                found.append(self._task(task, factors, scores.to_numpy(dtype=np.float64), column != "val_loss"))
        return ImportanceInfo(metric=metric, tasks=tuple(found)) if found else None

    def _task(self, task: str, factors: pd.DataFrame, scores: Any, maximize: bool) -> TaskImportance:
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.inspection import permutation_importance

        x = np.column_stack([_whole(as_numbers(factors[c])[0].to_numpy(dtype=np.float64)) for c in factors.columns])
        forest = RandomForestRegressor(TREES, random_state=0, oob_score=True, min_samples_leaf=2, n_jobs=1).fit(
            x, scores
        )
        shuffled = permutation_importance(forest, x, scores, n_repeats=REPEATS, random_state=0, n_jobs=1)
        order = np.argsort(-shuffled.importances_mean, kind="stable")
        names = tuple(str(factors.columns[i]) for i in order)
        shares = ped_anova(factors, scores, maximize=maximize)
        return TaskImportance(
            task=task,
            settings=names,
            mean=tuple(float(shuffled.importances_mean[i]) for i in order),
            std=tuple(float(shuffled.importances_std[i]) for i in order),
            r2=float(forest.oob_score_),
            n_trials=len(scores),
            shares=None if shares is None else tuple(shares[name] for name in names),
        )

    def draw(self, info: ImportanceInfo) -> Figure:
        with styled():
            n = len(info.tasks)
            rows = max(len(t.settings) for t in info.tasks)
            figure = Figure(figsize=(TWO_COLUMNS_IN, n * (0.24 * rows + 0.85)), layout="constrained")
            grid: Any = figure.subplots(n, 2, squeeze=False)
            for (forest, densities), t in zip(grid, info.tasks, strict=True):
                y = np.arange(len(t.settings))
                bars = {"color": COLOURS[5], "edgecolor": COLOURS[0], "height": 0.62}
                forest.barh(y, t.mean, xerr=t.std, ecolor="#333333", **bars)
                forest.set_xlim(left=min(0.0, *(a - b for a, b in zip(t.mean, t.std, strict=True))))
                forest.set_xlabel("Loss of R² when shuffled")
                forest.set_title(f"{task_title(t.task)} ({t.n_trials} trials)")
                densities.barh(y, t.shares or (0.0,) * len(t.settings), **bars)
                densities.set_xlim(0, 1)
                densities.set_xlabel(f"PED-ANOVA, share (best {best_share(t.n_trials):.0%})")
                for axes in (forest, densities):
                    soft_grid(axes, "x")
                    axes.set_yticks(y, t.settings if axes is forest else [""] * len(t.settings))
                    axes.invert_yaxis()
                    axes.tick_params(axis="y", length=0)
            return figure

    def caption(self, info: ImportanceInfo) -> str:
        fits = ", ".join(f"{task_words(t.task)} {number(t.r2, 2)}" for t in info.tasks)
        return (
            f"Importance of each setting for {METRIC_NAMES[info.metric]} on validation data. Left: decrease in the R² "
            f"of a random forest ({TREES} trees) when the setting is shuffled, mean ± standard deviation over "
            f"{REPEATS} shuffles. The forest's out-of-bag R² ({fits}) is the fraction of the metric's variance that "
            "the settings explain; if it is near or below 0, the bars on the left are meaningless. Right: PED-ANOVA "
            "(Watanabe et al. 2023), the divergence of each setting's distribution in the best trials from its "
            "distribution in all trials, as shares; it shows which settings matter for being among the best, not for "
            "the metric as a whole."
        )
