"""Does an arm differ from the reference, by how much, and would it survive other seeds and other subjects?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special
from statsmodels.stats.multitest import multipletests

from agrm_study.statistics.arrays import Bools, Floats
from agrm_study.statistics.bootstrap import Draws, average_seeds, p_value, percentile_interval, undefined
from agrm_study.statistics.estimators import UNDEFINED, Interval, hedges_g

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicated:
    """One arm's metric: at each seed, and at each seed under every replicate's subjects.

    Attributes:
        seeds: (S,) training seeds.
        values_S: Metric on all subjects.
        replicates_BS: Metric on the subjects of each replicate; None without a bootstrap.
    """

    seeds: tuple[int, ...]
    values_S: Floats
    replicates_BS: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A contrast of arms; for two arms, Δ = arm − reference.

    Attributes:
        delta: Difference of the means over the seeds used.
        interval: Two-way percentile interval with shared draws.
        p: Two-sided bootstrap p, uncorrected.
        welch_p: Welch's t-test over the seed values (test set fixed); NaN for contrasts of more than two arms.
        g: Hedges g; NaN for contrasts of more than two arms.
        n: Seeds used on the smallest side.
        paired: Whether seeds were drawn jointly.
        undefined: Replicates without a value.
    """

    delta: float
    interval: Interval
    p: float
    welch_p: float
    g: float
    n: int
    paired: bool
    undefined: int


def welch_p(values: ArrayLike, reference: ArrayLike) -> float:
    """Two-sided p of Welch's unequal-variance t-test; NaN when a side has fewer than two values or neither varies.

    The degrees of freedom are Welch and Satterthwaite's (Welch 1947).
    """
    a, b = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.size < 2 or b.size < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return math.nan
    u, v = float(a.var(ddof=1)) / a.size, float(b.var(ddof=1)) / b.size
    t = (float(a.mean()) - float(b.mean())) / math.sqrt(u + v)
    df = (u + v) ** 2 / (u**2 / (a.size - 1) + v**2 / (b.size - 1))
    return float(2 * special.stdtr(df, -abs(t)))


def holm(p_values: Sequence[float]) -> Floats:
    """Holm's step-down adjustment over one family; NaN entries stay NaN and do not count in it."""
    p = np.asarray(p_values, dtype=np.float64)
    out = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        out[known] = multipletests(p[known], method="holm")[1]
    return out


def daggers(adjusted_p: ArrayLike, welch: ArrayLike, alpha: float = ALPHA) -> Bools:
    """Where a dagger stands: Holm-adjusted bootstrap p < alpha **and** Welch p < alpha."""
    a, w = np.asarray(adjusted_p, dtype=np.float64), np.asarray(welch, dtype=np.float64)
    return np.asarray((a < alpha) & (w < alpha), dtype=np.bool_)


def contrast(arms: Sequence[Replicated], coefficients: Sequence[float], draws: Draws | None) -> Difference:
    """Σ cᵢ·meanᵢ with one draw of the subjects for all arms, and of the seeds where the arms share them.

    Arms with at least two common seeds are paired on these; otherwise each arm's seeds are drawn on their own.

    Args:
        arms: Replicates under the same `draws`.
        coefficients: One an arm; (1, −1) is a difference, (1, −1, −1, 1) the interaction of a 2×2 ablation.
        draws: The draws that made the replicates; None leaves interval and p undefined.

    Raises:
        ValueError: When arms and coefficients differ in number.
    """
    if len(arms) != len(coefficients):
        raise ValueError(f"one coefficient an arm is needed: {len(arms)} arms, {len(coefficients)} coefficients")
    common = tuple(s for s in arms[0].seeds if all(s in a.seeds for a in arms))
    paired = len(common) >= 2 or all(a.seeds == arms[0].seeds for a in arms)
    kept = [[a.seeds.index(s) for s in common] if paired else list(range(len(a.seeds))) for a in arms]
    values = [a.values_S[k] for a, k in zip(arms, kept, strict=True)]
    n = min((len(k) for k in kept), default=0)
    if n == 0:
        return Difference(
            delta=math.nan,
            interval=UNDEFINED,
            p=math.nan,
            welch_p=math.nan,
            g=math.nan,
            n=0,
            paired=paired,
            undefined=0,
        )
    delta = float(sum(c * v.mean() for c, v in zip(coefficients, values, strict=True)))
    two = len(arms) == 2
    welch = welch_p(values[0], values[1]) if two else math.nan
    g = hedges_g(values[0], values[1]) if two else math.nan
    interval, p, missing = UNDEFINED, math.nan, 0
    if draws is not None and all(a.replicates_BS is not None for a in arms):
        total = np.zeros(draws.replicates)
        for position, (arm, coefficient, k) in enumerate(zip(arms, coefficients, kept, strict=True)):
            assert arm.replicates_BS is not None
            weights = draws.seeds(len(k), stream=0 if paired else position)
            total += coefficient * average_seeds(arm.replicates_BS[:, k], weights)
        interval, p, missing = percentile_interval(total), p_value(total), undefined(total)
    return Difference(delta=delta, interval=interval, p=p, welch_p=welch, g=g, n=n, paired=paired, undefined=missing)


def compare(arm: Replicated, reference: Replicated, draws: Draws | None) -> Difference:
    """Δ = arm − reference, with shared subject draws and, where seeds are paired, shared seed draws."""
    return contrast([arm, reference], [1.0, -1.0], draws)


def interaction(
    full: Replicated, without_a: Replicated, without_b: Replicated, without_both: Replicated, draws: Draws | None
) -> Difference:
    """Interaction of a 2×2 ablation, full − w/o A − w/o B + w/o both: 0 when the two gains add up."""
    return contrast([full, without_a, without_b, without_both], [1.0, -1.0, -1.0, 1.0], draws)
