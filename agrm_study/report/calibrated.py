"""Calibration of each arm, as trained and after temperature scaling fitted on validation data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agrm_study.report.cells import Cell
from agrm_study.report.measure import Measured, measured
from agrm_study.report.pooled_folds import fitted_on_validation, over_subjects
from agrm_study.statistics.arrays import Bools, Floats, Ints
from agrm_study.statistics.calibration import (
    brier,
    brier_influence,
    ece_influence,
    recalibrate,
    reliability,
    temperature_of,
)
from agrm_study.statistics.probabilities import softmax


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """Calibration of one cell.

    Attributes:
        ece: Expected calibration error, 15 bins.
        brier: Brier score.
        slope: Calibration slope of a two-class task; None if it is undefined for any seed.
        intercept: Calibration in the large; None under the same condition.
        temperature_S: Temperature for each seed, averaged over its folds; NaN if the validation data do not identify
            it, in which case 1 is used. This and the following attributes are None if there are no validation data.
        ece_after: ECE after scaling.
        brier_after: Brier score after scaling.
        probs_after_SNK: Scaled probabilities.
    """

    ece: Measured
    brier: Measured
    slope: Measured | None
    intercept: Measured | None
    temperature_S: Floats | None = None
    ece_after: Measured | None = None
    brier_after: Measured | None = None
    probs_after_SNK: Floats | None = None


UNSCALED = 1.0
"""Temperature used if the validation data do not identify one."""


def log_probabilities(probs: Floats) -> Floats:
    """Logarithms of the averaged probabilities of each subject, whose softmax equals these probabilities."""
    return np.log(np.clip(probs, 1e-12, None))


def mean_in_use(temperature_S: Floats) -> float:
    """Mean of the applied temperatures, with 1 if the validation data do not identify one."""
    return float(np.nan_to_num(temperature_S, nan=UNSCALED).mean())


def calibrate(cell: Cell, validation: Cell | None) -> Calibrated:
    """ECE, Brier score, slope and intercept of a cell, with ECE and Brier score also after temperature scaling."""
    slope, intercept = _recalibration(cell)
    plain = Calibrated(
        ece=_each_seed(cell, cell.probs_SNK, lambda p, y: reliability(p, y).ece, ece_influence, 1.0),
        brier=_each_seed(cell, cell.probs_SNK, brier, brier_influence, 2.0),
        slope=slope,
        intercept=intercept,
    )
    found_SF = fitted_on_validation(cell, validation, _temperature)
    if found_SF is None:
        return plain
    used = over_subjects(cell, np.nan_to_num(found_SF, nan=UNSCALED))
    after = np.asarray(softmax(log_probabilities(cell.probs_SNK) / used[:, :, None]))
    return Calibrated(
        ece=plain.ece,
        brier=plain.brier,
        slope=slope,
        intercept=intercept,
        temperature_S=_mean_known(found_SF),
        ece_after=_each_seed(cell, after, lambda p, y: reliability(p, y).ece, ece_influence, 1.0),
        brier_after=_each_seed(cell, after, brier, brier_influence, 2.0),
        probs_after_SNK=after,
    )


def _mean_known(found_SF: Floats) -> Floats:
    """Mean temperature of each row over the training runs whose validation data identify one; NaN if there is none."""
    known = ~np.isnan(found_SF)
    counts = known.sum(axis=1)
    return np.where(counts > 0, np.where(known, found_SF, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)


def _temperature(probs_NK: Floats, labels_N: Ints) -> float:
    """Temperature of one training run; NaN if its validation subjects do not identify one."""
    found = temperature_of(log_probabilities(probs_NK), labels_N)
    return math.nan if found is None else found


def present(probs_NK: Floats) -> Bools:
    """Mask of the subjects evaluated for a seed."""
    return np.asarray(~np.isnan(probs_NK).any(axis=1))


def _each_seed(
    cell: Cell,
    probs_SNK: Floats,
    score: Callable[[Floats, Ints], float],
    influence: Callable[[Floats, Ints], Floats],
    high: float,
) -> Measured:
    """A score of the probabilities for each seed, over the subjects evaluated for that seed."""
    values, influences = [], np.zeros(probs_SNK.shape[:2])
    for row, probs in zip(influences, probs_SNK, strict=True):
        here = present(probs)
        values.append(score(probs[here], cell.labels_N[here]))
        row[here] = influence(probs[here], cell.labels_N[here]) * (here.size / here.sum())
    return measured(cell.scored(np.array(values), influences), 0.0, high)


def _recalibration(cell: Cell) -> tuple[Measured | None, Measured | None]:
    """Slope and intercept over the seeds; None unless they are defined for every seed."""
    if len(cell.classes) != 2:
        return None, None
    shape = cell.probs_SNK.shape[:2]
    slopes, intercepts = np.zeros(shape), np.zeros(shape)
    values = []
    for s, probs in enumerate(cell.probs_SNK):
        here = present(probs)
        found = recalibrate(cell.labels_N[here] == 1, probs[here, 1])
        if found is None:
            return None, None
        values.append((found.slope, found.intercept))
        slopes[s, here] = found.slope_influence * (here.size / here.sum())
        intercepts[s, here] = found.intercept_influence * (here.size / here.sum())
    of_slope, of_intercept = np.array(values).T
    return (
        measured(cell.scored(of_slope, slopes), -math.inf, math.inf),
        measured(cell.scored(of_intercept, intercepts), -math.inf, math.inf),
    )
