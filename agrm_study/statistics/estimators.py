"""Mean and standard deviation over seeds, confidence intervals, and Hedges' g."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval; both endpoints are NaN if it is undefined."""

    low: float
    high: float
    level: float = 0.95

    @property
    def defined(self) -> bool:
        """Whether both endpoints are defined."""
        return math.isfinite(self.low) and math.isfinite(self.high)


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of the replicates of one cell: number, mean and sample standard deviation (ddof 1).

    ``mean`` is NaN if there are no values; ``std`` is NaN with fewer than two values.
    """

    n: int
    mean: float
    std: float


UNDEFINED = Interval(math.nan, math.nan)


def interval_of(ends: ArrayLike, level: float = 0.95) -> Interval:
    """The interval with the two given endpoints; undefined unless both are finite."""
    low, high = (float(x) for x in np.asarray(ends, dtype=np.float64))
    return Interval(low, high, level) if math.isfinite(low) and math.isfinite(high) else UNDEFINED


def summarise(values: ArrayLike) -> Summary:
    """Mean and standard deviation (ddof 1) over the replicates of a cell.

    A NaN among the values makes both NaN: a replicate is never dropped silently.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    mean = float(x.mean()) if x.size else math.nan
    std = float(x.std(ddof=1)) if x.size > 1 else math.nan
    return Summary(int(x.size), mean, std)


def seed_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval for the mean over seeds, x̄ ± t·s/√n, for a fixed test set; undefined for n < 2."""
    s = summarise(values)
    if s.n < 2 or not math.isfinite(s.std):
        return Interval(math.nan, math.nan, level)
    half = _t_quantile(0.5 + level / 2, s.n - 1) * s.std / math.sqrt(s.n)
    return Interval(s.mean - half, s.mean + half, level)


@lru_cache(maxsize=256)
def _t_quantile(p: float, df: int) -> float:
    return float(scipy.stats.t.ppf(p, df))


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval for a proportion (Wilson 1927); undefined for n = 0.

    Raises:
        ValueError: If the number of successes is outside 0..n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n = {n}, got {successes}")
    if n == 0:
        return Interval(math.nan, math.nan, level)
    z = float(scipy.stats.norm.ppf(0.5 + level / 2))
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half), level)


def hedges_g(values: ArrayLike, reference: ArrayLike) -> float:
    """Standardised difference of means with the exact small-sample correction (Hedges 1981).

    J(m)·(x̄ − ȳ)/s_pooled with J(m) = Γ(m/2)/(√(m/2)·Γ((m−1)/2)), m = n₁ + n₂ − 2. NaN if a group has fewer than
    two values or the pooled standard deviation is 0.
    """
    a, b = summarise(values), summarise(reference)
    if a.n < 2 or b.n < 2:
        return math.nan
    m = a.n + b.n - 2
    pooled = math.sqrt(((a.n - 1) * a.std**2 + (b.n - 1) * b.std**2) / m)
    if not pooled > 1e-12 * max(abs(a.mean), abs(b.mean), 1e-300):
        return math.nan
    correction = math.exp(scipy.special.gammaln(m / 2) - scipy.special.gammaln((m - 1) / 2)) / math.sqrt(m / 2)
    return correction * (a.mean - b.mean) / pooled
