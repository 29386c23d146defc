"""Contrasts of arms over the same test subjects: difference, interval, p-value, and Holm correction."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from statsmodels.stats.multitest import multipletests

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.estimators import UNDEFINED, Interval, hedges_g
from agrm_study.statistics.two_way import (
    ROUNDING,
    Components,
    combined,
    difference_interval,
    seeds_move_together,
    t_test,
)

ALPHA = 0.05


Replicate = Hashable
"""Key for pairing the replicates of arms: a training seed, or the seed and repeat of pooled folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Metric values of one arm.

    Attributes:
        seeds: (S,) replicates.
        values_S: Metric for each seed, on all subjects.
        influence_SN: Influence of each subject on the metric (`statistics.influence`).
        fold_SN: Fold in which each subject was tested (`fold_variance.variance_of_folds`); None for a single split.
    """

    seeds: tuple[Replicate, ...]
    values_S: Floats
    influence_SN: Floats
    fold_SN: Ints | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A contrast of arms; for two arms, Δ = arm − reference.

    Attributes:
        delta: Contrast of the means over the seeds used.
        interval: 95% t interval over seeds and subjects; undefined for one seed.
        p: Two-sided p-value of the same t-test, uncorrected; NaN for one seed.
        g: Hedges' g; NaN for contrasts of more than two arms.
        n: Number of seeds used (of the arm with the fewest seeds).
        paired: Whether the contrast is paired by seed.
        components: Variance by source and degrees of freedom; None for one seed.
    """

    delta: float
    interval: Interval
    p: float
    g: float
    n: int
    paired: bool
    components: Components | None


def holm(p_values: Sequence[float]) -> Floats:
    """Holm's step-down adjustment over one family; NaN entries remain NaN and are not counted."""
    p = np.asarray(p_values, dtype=np.float64)
    out = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        out[known] = multipletests(p[known], method="holm")[1]
    return out


def common_seeds(arms: Sequence[Scored]) -> tuple[Replicate, ...]:
    """Seeds common to all arms, in the order of the first arm."""
    others = [set(a.seeds) for a in arms[1:]]
    return tuple(s for s in arms[0].seeds if all(s in o for o in others)) if arms else ()


def seeds_are_shared(arms: Sequence[Scored]) -> bool:
    """Whether the arms' metrics share a seed effect over their common seeds (`two_way.seeds_move_together`).

    The result determines whether all comparisons of a task are paired. Pairing removes a seed effect that is common to
    all arms; without such an effect it halves the degrees of freedom. Comparisons with fewer than
    `two_way.FEWEST_TO_PAIR` seeds are never paired.
    """
    common = common_seeds(arms)
    if not common:
        return False
    return bool(seeds_move_together([[a.values_S[a.seeds.index(s)] for s in common] for a in arms]))


def contrast(arms: Sequence[Scored], coefficients: Sequence[float], *, paired: bool) -> Difference:
    """The contrast Σ cᵢ·meanᵢ of arms evaluated on the same subjects.

    Args:
        arms: Scores over the same subjects, in the same order.
        coefficients: One per arm; (1, −1) is a difference, (1, −1, −1, 1) the interaction of a 2×2 ablation.
        paired: Whether to pair the seeds common to all arms; otherwise, or with fewer than two common seeds, all
            seeds of each arm are used and treated as independent.

    Raises:
        ValueError: If the numbers of arms and coefficients differ.
    """
    if len(arms) != len(coefficients):
        raise ValueError(f"one coefficient per arm is required: {len(arms)} arms, {len(coefficients)} coefficients")
    common = common_seeds(arms)
    paired = paired and len(common) >= 2
    kept = [[a.seeds.index(s) for s in common] if paired else list(range(len(a.seeds))) for a in arms]
    n = min((len(k) for k in kept), default=0)
    parts = [(c, a.values_S[k], a.influence_SN[k]) for c, a, k in zip(coefficients, arms, kept, strict=True) if len(k)]
    if n == 0:
        return Difference(
            delta=math.nan, interval=UNDEFINED, p=math.nan, g=math.nan, n=0, paired=paired, components=None
        )
    delta = float(sum(c * v.mean() for c, v, _ in parts))
    g = hedges_g(parts[0][1], parts[1][1]) if len(arms) == 2 else math.nan
    folds = [a.fold_SN[k] for a, k in zip(arms, kept, strict=True) if len(k) and a.fold_SN is not None]
    found = combined(parts, paired=paired, folds=folds if len(folds) == len(parts) else None)
    interval, p = UNDEFINED, math.nan
    if found is not None and math.isfinite(delta) and np.isfinite(found.variance):
        low, high = difference_interval(delta, found)
        bound = float(np.abs(coefficients).sum()) / 2
        interval, p = Interval(max(float(low), -bound), min(float(high), bound)), float(t_test(delta, found))
        interval = interval if math.isfinite(low) else UNDEFINED
    return Difference(delta=delta, interval=interval, p=p, g=g, n=n, paired=paired, components=found)


def compare(arm: Scored, reference: Scored, *, paired: bool) -> Difference:
    """Δ = arm − reference."""
    return contrast([arm, reference], [1.0, -1.0], paired=paired)


def equivalence_p(delta: float, c: Components, margin: float) -> float:
    """p-value of equivalence within ±margin: the larger p-value of two one-sided t-tests (Schuirmann 1987)."""
    error = math.sqrt(float(c.variance))
    if not error > ROUNDING:
        return math.nan
    return float(
        max(scipy.stats.t.sf((delta + margin) / error, c.df), scipy.stats.t.sf((margin - delta) / error, c.df))
    )


def interaction(
    full: Scored, without_a: Scored, without_b: Scored, without_both: Scored, *, paired: bool
) -> Difference:
    """Interaction of a 2×2 ablation, full − w/o A − w/o B + w/o both: 0 if the two gains are additive."""
    return contrast([full, without_a, without_b, without_both], [1.0, -1.0, -1.0, 1.0], paired=paired)
