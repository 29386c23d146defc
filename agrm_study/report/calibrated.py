"""How well calibrated is each arm, before and after a temperature that was fitted on validation?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from agrm_study.report.cells import Cell
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.calibration import brier, fit_temperature, reliability
from agrm_study.statistics.probabilities import softmax


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """Calibration of one cell, one value per seed; temperature and what follows from it are None without validation.

    A temperature that validation does not identify is NaN, and 1 is used in its place.
    """

    ece_S: Floats
    brier_S: Floats
    temperature_S: Floats | None
    ece_after_S: Floats | None
    brier_after_S: Floats | None
    probs_after_SNK: Floats | None


UNSCALED = 1.0
"""The temperature in use where validation identifies none."""


def log_probabilities(probs: Floats) -> Floats:
    """Logarithms of a subject's averaged probabilities: logits that softmax turns back into them."""
    return np.log(np.clip(probs, 1e-12, None))


def mean_in_use(temperature_S: Floats) -> float:
    """Mean of the temperatures in use: 1 where validation identifies none."""
    return float(np.nan_to_num(temperature_S, nan=UNSCALED).mean())


def calibrate(cell: Cell, validation: Cell | None) -> Calibrated:
    """ECE (15 bins) and Brier score of a cell, and the same after scaling the subjects' log-probabilities."""

    def scores(probs_SNK: Floats) -> tuple[Floats, Floats]:
        ece, br = [], []
        for probs in probs_SNK:
            here = ~np.isnan(probs).any(axis=1)
            ece.append(reliability(probs[here], cell.labels_N[here]).ece)
            br.append(brier(probs[here], cell.labels_N[here]))
        return np.array(ece), np.array(br)

    ece, br = scores(cell.probs_SNK)
    usable = validation is not None and set(cell.seeds) <= set(validation.seeds)
    if validation is None or not usable:
        none = None
        return Calibrated(
            ece_S=ece, brier_S=br, temperature_S=none, ece_after_S=none, brier_after_S=none, probs_after_SNK=none
        )
    temperatures: list[float] = []
    after = []
    for s, seed in enumerate(cell.seeds):
        val = validation.probs_SNK[validation.seeds.index(seed)]
        here = ~np.isnan(val).any(axis=1)
        t = fit_temperature(log_probabilities(val[here]), validation.labels_N[here])
        temperatures.append(math.nan if t is None else t)
        after.append(softmax(log_probabilities(cell.probs_SNK[s]), UNSCALED if t is None else t))
    probs_after = np.stack(after)
    ece_after, brier_after = scores(probs_after)
    return Calibrated(
        ece_S=ece,
        brier_S=br,
        temperature_S=np.array(temperatures),
        ece_after_S=ece_after,
        brier_after_S=brier_after,
        probs_after_SNK=probs_after,
    )
