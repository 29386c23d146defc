"""PED-ANOVA importance of settings: divergence of each setting's distribution in the best trials from its distribution
in all trials."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agrm_study.report.figures.parallel_coordinates import scale_of
from agrm_study.report.figures.searching import as_numbers

if TYPE_CHECKING:
    import optuna

QUANTILE: Final = 0.1
"""Fraction of the trials that count as the best (Optuna's default)."""
MIN_BEST: Final = 5
"""Minimum number of trials that count as the best; with fewer, densities are unstable (Optuna's recommendation)."""


def ped_anova(factors: pd.DataFrame, scores: NDArray[np.floating], *, maximize: bool) -> dict[str, float] | None:
    """Relative importance of each setting for being among the best trials; the values sum to 1.

    The importance is the Pearson divergence between the densities of a setting in the best trials and in all trials
    (PED-ANOVA, Watanabe et al. 2023; conditional settings as in Conditional PED-ANOVA), computed with Optuna. Settings
    are scaled as on their axes in the parallel-coordinates figure. None if no setting distinguishes the best trials.

    Args:
        factors: Settings that vary, one column each, with NaN or None if a setting is inactive; (N, M).
        scores: Validation score of each trial, (N,).
        maximize: Whether larger scores are better.
    """
    import optuna

    columns = {str(name): _column(factors[name]) for name in factors.columns}
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        for row, score in enumerate(scores):
            active = {n: (float(v[row]), dist) for n, (v, dist) in columns.items() if math.isfinite(v[row])}
            params: dict[str, Any] = {
                name: int(value) if isinstance(dist, optuna.distributions.CategoricalDistribution) else value
                for name, (value, dist) in active.items()
            }
            study.add_trial(
                optuna.trial.create_trial(
                    params=params,
                    distributions={name: dist for name, (_, dist) in active.items()},
                    value=float(score),
                )
            )
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best_share(len(scores)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna warns if there are few trials
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    finally:
        optuna.logging.set_verbosity(level)
    total = sum(found.values())
    return {name: found.get(name, 0.0) / total for name in columns} if total > 0 else None


def best_share(trials: int) -> float:
    """Fraction of trials that count as the best: `QUANTILE`, or the fraction of `MIN_BEST` trials if larger, but at
    most one half."""
    return max(QUANTILE, min(MIN_BEST / trials, 0.5))


def _column(column: pd.Series[float]) -> tuple[NDArray[np.floating], optuna.distributions.BaseDistribution]:
    """The values of a setting on its scale, NaN if the setting is inactive, and their distribution."""
    import optuna

    numbers, names = as_numbers(column)
    values = numbers.to_numpy(dtype=np.float64)
    if names is not None:
        return values, optuna.distributions.CategoricalDistribution(tuple(range(len(names))))
    known = values[~np.isnan(values)]
    values = np.asarray(scale_of(float(known.min()), float(known.max()))(values), dtype=np.float64)
    return values, optuna.distributions.FloatDistribution(float(np.nanmin(values)), float(np.nanmax(values)))
