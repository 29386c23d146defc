"""Expected best score of a search as a function of its budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats


def expected_best(values_N: ArrayLike, *, maximize: bool = True) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the best of k = 1 … N draws, (N,) each (Dodge et al. 2019, equations 5 and 6).

    Draws are independent and with replacement from the empirical distribution of the values: the i-th smallest value is
    the best of k draws with probability (i/N)^k − ((i−1)/N)^k. For values from an adaptive sampler, the result
    describes random search over these values, not the sampler.

    Args:
        values_N: Scores of the points of a search; must be finite.
        maximize: Whether larger scores are better.

    Raises:
        ValueError: If there are no values, or a value is not finite.
    """
    values = np.sort(np.asarray(values_N, dtype=np.float64))
    if not values.size or not np.isfinite(values).all():
        raise ValueError("the expected best requires at least one value and only finite values")
    values = values if maximize else values[::-1]
    n = values.size
    below = np.arange(n + 1) / n
    weights_KN = np.diff(below[None, :] ** np.arange(1, n + 1)[:, None], axis=1)
    mean = weights_KN @ values
    variance = weights_KN @ values**2 - mean**2
    return mean, np.sqrt(np.clip(variance, 0.0, None))
