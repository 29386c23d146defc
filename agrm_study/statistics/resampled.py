"""Tests of paired differences over few seeds, without the bootstrap.

At n = 5, the exact two-sided sign-flip and Wilcoxon tests cannot give a p-value below 2/2⁵ = 0.0625. Results include
this minimum, so that tables can mark p-values that reach it and do not present a limit of the design as a lack of
effect.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from agrm_study.statistics.probabilities import TIE


@dataclass(frozen=True, slots=True)
class ExactTest:
    """A p-value and the smallest possible p-value of the design."""

    p: float
    floor: float

    @property
    def at_floor(self) -> bool:
        """Whether p is the smallest value possible at this sample size."""
        return self.p <= self.floor * (1 + 1e-9)


def exact_floor(n: int) -> float:
    """Smallest two-sided p-value of a sign-flip or Wilcoxon signed-rank test on n pairs, 2/2ⁿ (at most 1)."""
    return min(1.0, 2.0 * math.pow(0.5, n))


def sign_flip(differences: ArrayLike, max_exact: int = 20) -> ExactTest:
    """Exact sign-flip (paired permutation) test of a mean difference of 0, over all 2ⁿ sign flips.

    Raises:
        ValueError: If there are more differences than `max_exact`.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.size > max_exact:
        raise ValueError(f"the exact sign-flip test is limited to {max_exact} pairs, got {d.size}")
    if d.size == 0:
        return ExactTest(math.nan, 1.0)
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=d.size)))
    means = np.abs(signs @ d)
    return ExactTest(float((means >= abs(d.sum()) - TIE).mean()), exact_floor(d.size))


def wilcoxon(differences: ArrayLike) -> ExactTest:
    """Wilcoxon's signed-rank test (scipy, exact without ties or zeros); p = 1 if all differences are 0."""
    d = np.round(np.asarray(differences, dtype=np.float64), 12)  # values that are equal up to rounding are tied
    if d.size == 0:
        return ExactTest(math.nan, 1.0)
    if not np.any(d):
        return ExactTest(1.0, exact_floor(d.size))
    return ExactTest(float(scipy.stats.wilcoxon(d).pvalue), exact_floor(d.size))


def nadeau_bengio(differences: ArrayLike, n_train: int, n_test: int) -> tuple[float, float]:
    """Corrected resampled t-test for seeds with different splits (Nadeau & Bengio 2003): t and two-sided p-value.

    The variance of the mean is s²·(1/n + n_test/n_train) instead of s²/n, because the training sets overlap.

    Raises:
        ValueError: If a size is not positive.
    """
    if n_train <= 0 or n_test <= 0:
        raise ValueError(f"sizes must be positive, got n_train = {n_train}, n_test = {n_test}")
    d = np.asarray(differences, dtype=np.float64)
    if d.size < 2 or np.ptp(d) < TIE:
        return math.nan, math.nan
    t = float(d.mean() / math.sqrt(d.var(ddof=1) * (1 / d.size + n_test / n_train)))
    return t, float(2 * scipy.stats.t.sf(abs(t), d.size - 1))
