"""Two-way variance of a seed-averaged metric: seeds × subjects, with intervals and a t-test.

A metric averaged over S seeds on N subjects has two sources of random variation: seeds and subjects. With u the
influence values of `statistics.influence` (S, N), centred by seed, and values the metric for each seed, the components
of the variance of the mean are estimated as

    seeds       = variance of values / S,                   which contains the interaction,
    subjects    = variance of the subjects' mean u / N,     which also contains the interaction,
    interaction = residual mean square of u / (S·N).

The variance of the mean is seeds + max(subjects − interaction, 0), and never less than subjects: the crossed
random-effects variance of multi-reader multi-case (MRMC) studies (Obuchowski & Rockette 1995; Hillis 2007),
with a floor that protects against a seed variance that is underestimated by chance. Degrees of freedom follow
Satterthwaite (1946), where the degrees of freedom of the subject variance are estimated from the fourth moment of u
(few influential subjects give few degrees of freedom). They are at most `MOST_DF` times the degrees of freedom of the
seeds.
The rule was selected by simulation: docs/statistics.md, benchmarks/intervals.py.

Axes: S seeds, N subjects; leading axes (several arms or simulated studies) are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import scipy
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.fold_variance import variance_of_folds

ROUNDING: Final = 1e-12
"""Differences and standard errors below this are treated as rounding errors."""
MOST_DF: Final = 3.0
"""Upper bound on the degrees of freedom as a multiple of the seeds' degrees of freedom, since the shares of the
variance are estimated poorly from few seeds."""
FEWEST_SUBJECTS: Final = 10
"""Minimum number of subjects for a variance: with eight subjects, coverage was as low as 87 % in simulations."""
SHAPE: Final = 1.5
"""Exponent p with which the variance of a bounded metric is proportional to (θ(1−θ))^p (`bounded_interval`); 1 for a
proportion."""
NEWTON_STEPS: Final = 20
"""Maximum number of Newton steps; most intervals need five."""
SHARED_LEVEL: Final = 0.02
"""Level of the F-test for a seed effect that arms share; small, since unjustified pairing makes the test of differences
liberal."""
FEWEST_TO_PAIR: Final = 3
"""Minimum number of seeds for pairing; two seeds cannot show a common effect."""


@dataclass(frozen=True, kw_only=True)
class Components:
    """Variances of a mean, or of a contrast of means, by source; scalars or arrays of equal shape.

    Attributes:
        seeds: Variance due to seeds for these subjects, including the interaction.
        subjects: Variance due to subjects for these seeds, including the interaction.
        interaction: Variance due to the interaction, contained in both `seeds` and `subjects`.
        seed_df: Degrees of freedom of `seeds`.
        subject_df: Degrees of freedom of `subjects`.
        n_seeds: Number of seeds (of the arm with the fewest seeds).
        n_subjects: Number of subjects.
        folds: Variance due to pooled folds (`statistics.fold_variance`); 0 for a single split.
        between_folds: Variance of the mean computed from the fold means alone, from which `folds` is estimated.
        n_folds: Number of folds; 1 for a single split.
    """

    seeds: Any
    subjects: Any
    interaction: Any
    seed_df: Any
    subject_df: Any
    n_seeds: int
    n_subjects: int
    folds: Any = 0.0
    between_folds: Any = 0.0
    n_folds: int = 1

    @cached_property
    def variance(self) -> Floats:
        """Variance of the mean or contrast."""
        total = self.seeds + np.maximum(np.asarray(self.subjects) - self.interaction, 0.0)
        return np.asarray(np.maximum(total, self.subjects) + self.folds, dtype=np.float64)

    @cached_property
    def df(self) -> Floats:
        """Degrees of freedom of the variance."""
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.square(self.seeds) / self.seed_df + np.square(self.subjects) / self.subject_df
            spread = spread + np.where(self.folds > 0, np.square(self.between_folds), 0.0) / max(self.n_folds - 1, 1)
            df = np.where(spread > 0, np.square(self.variance) / spread, self.seed_df)
        return np.asarray(np.clip(df, 1.0, np.maximum(MOST_DF * np.asarray(self.seed_df), 1.0)), dtype=np.float64)

    @property
    def shares(self) -> tuple[Floats, Floats, Floats]:
        """Shares of the variance due to seeds, subjects and their interaction; NaN if the variance is zero. Together
        with the share due to folds, they sum to 1."""
        seeds = np.maximum(np.asarray(self.seeds, dtype=np.float64) - self.interaction, 0.0)
        subjects = np.maximum(np.asarray(self.subjects, dtype=np.float64) - self.interaction, 0.0)
        total = seeds + subjects + self.interaction + self.folds
        with np.errstate(divide="ignore", invalid="ignore"):
            return seeds / total, subjects / total, np.asarray(self.interaction / total)

    @property
    def fold_share(self) -> Floats:
        """Share of the variance due to folds; NaN if the variance is zero."""
        return np.asarray(1.0 - sum(self.shares), dtype=np.float64)

    def half_width(self, level: float = 0.95) -> Floats:
        """Half the width of the t interval on the scale of the metric."""
        return np.asarray(scipy.special.stdtrit(self.df, 0.5 + level / 2) * np.sqrt(self.variance), dtype=np.float64)

    def projected(self, *, seeds: float = 1.0, subjects: float = 1.0) -> Components:
        """Expected components with the numbers of seeds and subjects multiplied by these factors, if the estimated
        variances are correct; the number of folds is unchanged."""
        pure_seeds = np.maximum(np.asarray(self.seeds) - self.interaction, 0.0) / seeds
        pure_subjects = np.maximum(np.asarray(self.subjects) - self.interaction, 0.0) / subjects
        both = np.asarray(self.interaction) / (seeds * subjects)
        more = (self.n_seeds * seeds - 1) / (self.n_seeds - 1)
        rest = pure_seeds + pure_subjects + both
        with np.errstate(divide="ignore", invalid="ignore"):
            shrunk = np.nan_to_num(rest / (np.asarray(self.variance) - self.folds), nan=1.0)
        return replace(
            self,
            between_folds=self.folds + np.maximum(np.asarray(self.between_folds) - self.folds, 0.0) * shrunk,
            seeds=pure_seeds + both,
            subjects=pure_subjects + both,
            interaction=both,
            seed_df=self.seed_df * more,
            subject_df=self.subject_df * subjects,
        )


def components(values_S: ArrayLike, influence_SN: ArrayLike, fold_SN: Ints | None = None) -> Components | None:
    """Components of the mean over seeds.

    Args:
        values_S: Metric for each seed, (…, S).
        influence_SN: Influence of each subject on the metric for each seed, (…, S, N).
        fold_SN: Fold in which each subject was tested (`fold_variance.variance_of_folds`); None for a single split.

    Returns:
        The components; None for fewer than two seeds or `FEWEST_SUBJECTS` subjects, from which the variance cannot be
        estimated.
    """
    values = np.asarray(values_S, dtype=np.float64)
    u = np.asarray(influence_SN, dtype=np.float64)
    s, n = u.shape[-2:]
    if s < 2 or n < FEWEST_SUBJECTS:
        return None
    subjects, subject_df, interaction = _of_subjects(u)
    found = Components(
        seeds=values.var(axis=-1, ddof=1) / s,
        subjects=subjects,
        interaction=interaction,
        seed_df=np.full(values.shape[:-1], s - 1.0),
        subject_df=subject_df,
        n_seeds=s,
        n_subjects=n,
    )
    return found if fold_SN is None else _with_folds(found, [(1.0, u, fold_SN)])


def _with_folds(found: Components, parts: list[tuple[float, Floats, Ints]]) -> Components:
    """The components with the variance due to pooled folds."""
    of_folds = variance_of_folds(parts)
    return replace(found, folds=of_folds.variance, between_folds=of_folds.between, n_folds=of_folds.n_folds)


def of_one_network(influence_N: ArrayLike) -> Components | None:
    """Components with the network fixed, so that only subjects vary; None for fewer than `FEWEST_SUBJECTS` subjects."""
    u = np.asarray(influence_N, dtype=np.float64)
    if u.shape[-1] < FEWEST_SUBJECTS:
        return None
    variance, df = subject_variance(u)
    return Components(
        seeds=0.0,
        subjects=variance,
        interaction=0.0,
        seed_df=np.inf,
        subject_df=df,
        n_seeds=1,
        n_subjects=u.shape[-1],
    )


def _of_subjects(influence_SN: Floats) -> tuple[Floats, Floats, Floats]:
    """Variance due to subjects, its degrees of freedom, and the interaction."""
    s, n = influence_SN.shape[-2:]
    u = influence_SN - influence_SN.mean(axis=-1, keepdims=True)
    mean_N = u.mean(axis=-2)
    rest = np.square(u - mean_N[..., None, :]).sum(axis=(-1, -2)) if s > 1 else np.zeros(u.shape[:-2])
    variance, df = subject_variance(mean_N)
    return variance, df, rest / (max(s - 1, 1) * (n - 1)) / (s * n)


def subject_variance(influence_N: ArrayLike) -> tuple[Floats, Floats]:
    """Variance of a mean over subjects and its degrees of freedom, from influence values (…, N).

    The degrees of freedom are 2·V²/Var(V), capped at N − 1; V is the variance, and Var(V) is estimated.
    """
    u = np.asarray(influence_N, dtype=np.float64)
    u = u - u.mean(axis=-1, keepdims=True)
    n = u.shape[-1]
    square = np.square(u)
    second, fourth = square.sum(axis=-1), np.square(square).sum(axis=-1)
    excess = fourth - np.square(second) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(excess > 0, 2 * np.square(second) / excess, n - 1.0)
    return second / (n - 1) / n, np.clip(df, 1.0, n - 1.0)


def combined(
    parts: list[tuple[float, Floats, Floats]], *, paired: bool, folds: list[Ints] | None = None
) -> Components | None:
    """Components of a contrast Σ cᵢ·meanᵢ over the same subjects.

    Args:
        parts: Coefficient, values (S) and influence (S, N) of each arm.
        paired: Whether to pair the arms by seed, which requires the same seeds in the same order; otherwise the
            seeds of each arm are treated as independent.
        folds: Fold in which each subject was tested, (S, N) for each arm; None for a single split.

    Returns:
        The components; None if an arm has fewer than two seeds, or there are fewer than `FEWEST_SUBJECTS` subjects.
    """
    if paired:
        values = np.sum([c * v for c, v, _ in parts], axis=0)
        fold_SN = None if folds is None else folds[0]
        return components(values, np.sum([c * u for c, _, u in parts], axis=0), fold_SN)
    each = [(c, components(v, u)) for c, v, u in parts]
    known = [(c, x) for c, x in each if x is not None]
    if len(known) < len(each):
        return None
    seeds = sum(c * c * x.seeds for c, x in known)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = sum(np.square(c * c * x.seeds) / x.seed_df for c, x in known)
        seed_df = np.where(spread > 0, np.square(seeds) / spread, known[0][1].seed_df)
    mean_N = np.sum([c * (u - u.mean(axis=-1, keepdims=True)).mean(axis=-2) for c, _, u in parts], axis=0)
    subjects, subject_df = subject_variance(mean_N)
    found = Components(
        seeds=seeds,
        subjects=subjects,
        interaction=sum(c * c * x.interaction for c, x in known),
        seed_df=seed_df,
        subject_df=subject_df,
        n_seeds=min(x.n_seeds for _, x in known),
        n_subjects=known[0][1].n_subjects,
    )
    if folds is None:
        return found
    return _with_folds(found, [(c, u, fold_SN) for (c, _, u), fold_SN in zip(parts, folds, strict=True)])


def bounded_interval(
    mean: ArrayLike, c: Components, *, low: float = 0.0, high: float = 1.0, level: float = 0.95, shape: float = SHAPE
) -> Floats:
    """Score interval (2, …) for a mean that lies between two bounds.

    The endpoints are the values θ at which |x − θ| equals the half-width expected at θ. As for a proportion (Wilson
    1927), the variance at θ is assumed to be smaller near the bounds than in the middle: V·(θ(1−θ)/(x(1−x)))^p
    with p = `shape`. With p = 1, intervals near a bound miss the mean on one side, since a small sample often lacks the
    rare seeds far from the bound (docs/statistics.md).

    NaN if the mean lies on a bound or the variance is zero: such data do not identify the uncertainty.
    """
    x = (np.asarray(mean, dtype=np.float64) - low) / (high - low)
    half = np.asarray(c.half_width(level) / (high - low))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ends = _score_ends(x, half, shape)
    return np.where((x > 0) & (x < 1) & (half > ROUNDING), low + (high - low) * ends, np.nan)


def _score_ends(x: Floats, half: Floats, shape: float) -> Floats:
    """Endpoints (2, …) of a score interval between 0 and 1, by Newton's method for their logit distances from x.

    Solves log|x − θ| = log(half) + p/2·log(θ(1−θ)/(x(1−x))), which increases with the distance of θ from x.
    """
    side = np.reshape([-1.0, 1.0], (2,) + (1,) * np.ndim(x + half))
    centre, variance = scipy.special.logit(x), x * (1 - x)
    reach = half / variance + 0 * side
    for _ in range(NEWTON_STEPS):
        theta = scipy.special.expit(centre + side * reach)
        slack, now = side * (theta - x), theta * (1 - theta)
        gap = np.log(slack / half) - shape / 2 * np.log(now / variance)
        slope = now / slack - side * shape / 2 * (1 - 2 * theta)
        new = np.maximum(reach - gap / slope, reach / 2)  # the iterate never crosses x
        found, reach = bool(np.all(np.abs(new - reach) <= ROUNDING * reach)), new
        if found:
            break
    return np.asarray(scipy.special.expit(centre + side * reach))


def difference_interval(delta: ArrayLike, c: Components, level: float = 0.95) -> Floats:
    """t interval (2, …) for a contrast of means; NaN if the variance is zero."""
    x, half = np.asarray(delta, dtype=np.float64), c.half_width(level)
    return np.where(half > ROUNDING, np.stack([x - half, x + half]), np.nan)


def t_test(delta: ArrayLike, c: Components) -> Floats:
    """Two-sided p-value of a contrast; with zero variance, 1 if the contrast is 0, otherwise NaN."""
    x = np.asarray(delta, dtype=np.float64)
    error = np.sqrt(c.variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * scipy.special.stdtr(c.df, -np.abs(x) / error)
    return np.where(error > ROUNDING, p, np.where(np.abs(x) < ROUNDING, 1.0, np.nan))


def seeds_move_together(values_AS: ArrayLike, level: float = SHARED_LEVEL) -> Any:
    """Whether arms share a seed effect, by an F-test for the seeds in the two-way layout arms × seeds.

    Args:
        values_AS: Metric of at least two arms for the same seeds, (…, A, S).
        level: Level of the test.

    Returns:
        A bool, or an array of bools if there are leading axes; False for fewer than two arms or `FEWEST_TO_PAIR` seeds.
    """
    x = np.asarray(values_AS, dtype=np.float64)
    a, s = x.shape[-2:]
    if a < 2 or s < FEWEST_TO_PAIR:
        return np.zeros(x.shape[:-2], dtype=bool)
    by_seed = x.mean(axis=-2, keepdims=True)
    rest = x - x.mean(axis=-1, keepdims=True) - by_seed + x.mean(axis=(-1, -2), keepdims=True)
    between = a * np.square(by_seed - by_seed.mean(axis=-1, keepdims=True)).sum(axis=(-1, -2)) / (s - 1)
    within = np.square(rest).sum(axis=(-1, -2)) / ((a - 1) * (s - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = scipy.special.fdtrc(s - 1, (a - 1) * (s - 1), between / within)
    return np.where(within > 1e-24, p < level, between > 1e-24)
