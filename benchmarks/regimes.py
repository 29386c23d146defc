"""Simulated studies of two-class arms: the regimes in which intervals and tests are evaluated.

The score of a subject is skill·(class) + subject effects (shared by all arms, or specific to one) + seed effects on
level and skill (correlated across arms or not) + noise; the decision threshold is 0. Axes: R studies, A arms, S seeds,
N subjects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import stats

from agrm_study.statistics.arrays import Bools, Floats, Ints
from agrm_study.statistics.influence import FEWEST_OF_CLASS

METRICS = ("accuracy", "macro_f1", "roc_auc")


@dataclass(frozen=True)
class Regime:
    """Standard deviations of the sources of random variation, on the scale of the score.

    Attributes:
        subject: Standard deviation between subjects, shared by all arms.
        arm_subject: Standard deviation between subjects, specific to each arm.
        level: Standard deviation between seeds of the level (bias towards one class).
        skill_sd: Standard deviation between seeds of the separation of the classes.
        noise: Standard deviation of the noise of each seed and subject.
        skill: Mean separation of the classes.
        prevalence: Prevalence of class 1.
        related: Correlation of the effects of a seed across arms.
    """

    subject: float = 1.0
    arm_subject: float = 0.0
    level: float = 0.25
    skill_sd: float = 0.25
    noise: float = 0.8
    skill: float = 2.2
    prevalence: float = 2 / 3
    related: float = 0.0


REGIMES: dict[str, Regime] = {
    "default": Regime(),
    "seeds 2-3 x": Regime(level=0.6, skill_sd=0.6),
    "seeds dominate": Regime(subject=0.5, noise=0.5, level=0.2, skill_sd=0.5, skill=1.6),
    "seeds alone": Regime(subject=0.3, noise=0.4, level=0.15, skill_sd=0.45, skill=1.6),
    "strong interaction": Regime(subject=0.2, noise=2.5, level=0.1, skill_sd=0.1, skill=4.0),
    "10 % prevalence": Regime(prevalence=0.1),
    "accuracy .98": Regime(skill=5.4),
    "seeds related": Regime(level=0.6, skill_sd=0.6, related=0.9),
    "seeds half related": Regime(level=0.6, skill_sd=0.6, related=0.5),
    "arm x subject": Regime(subject=0.6, arm_subject=0.8, noise=0.4),
    "skewed seeds": Regime(subject=0.3, noise=0.4, level=0.6, skill_sd=0.4, skill=1.6),
}
"""Regimes by name. In the last one, a bias towards either class lowers the accuracy of a seed, so that accuracy is
skewed over seeds: no t interval has its nominal coverage there, not even Student's t over seeds alone."""


@dataclass(frozen=True)
class Folds:
    """Pooled folds of a regime: every training run, one per seed and fold, has its own seed effect.

    Attributes:
        count: Number of folds, F.
        level: Standard deviation of the level between the training sets of folds, shared by all seeds of an arm.
        skill_sd: Standard deviation of the separation of the classes between the training sets of folds.
        seed_related: Correlation of the effects of a seed across its folds.
        overlap: Correlation of the effects of training sets across folds, which share (F − 2)/(F − 1) of their
            subjects.
    """

    count: int = 5
    level: float = 0.25
    skill_sd: float = 0.25
    seed_related: float = 0.0
    overlap: float = 0.0


FOLD_REGIMES: dict[str, tuple[Regime, Folds]] = {
    "no fold effect": (Regime(), Folds(level=0.0, skill_sd=0.0)),
    "fold effect half of seeds": (Regime(), Folds(level=0.125, skill_sd=0.125)),
    "fold effect as of seeds": (Regime(), Folds()),
    "fold effect 2 x": (Regime(), Folds(level=0.5, skill_sd=0.5)),
    "seeds related over folds": (Regime(), Folds(seed_related=0.8)),
    "seeds 2-3 x": (REGIMES["seeds 2-3 x"], Folds()),
    "seeds dominate": (REGIMES["seeds dominate"], Folds()),
    "strong interaction": (REGIMES["strong interaction"], Folds(level=0.1, skill_sd=0.1)),
    "10 % prevalence": (REGIMES["10 % prevalence"], Folds()),
    "accuracy .94": (Regime(skill=4.0), Folds()),
}
"""Regimes of pooled folds by name."""
OVERLAPPING: dict[str, tuple[Regime, Folds]] = {
    "overlap, half of seeds": (Regime(), Folds(level=0.125, skill_sd=0.125, overlap=0.75)),
    "overlap, as of seeds": (Regime(), Folds(overlap=0.75)),
}
"""Training sets that share three quarters of their subjects; the effect of the shared part counts as error."""


def draw_folds(
    rng: np.random.Generator,
    regime: Regime,
    folds: Folds,
    studies: int,
    seeds: int,
    subjects: int,
    better: Sequence[float] = (0.0,),
) -> tuple[Bools, Floats, Ints]:
    """Labels (R, N), scores (R, A, S, N) and the fold of each subject (N,), assigned in rotation; fold effects are
    specific to each arm."""
    arms, f = len(better), folds.count
    still = replace(regime, level=0.0, skill_sd=0.0)
    y, scores = draw(rng, still, studies, seeds, subjects, better)
    fold_N = np.arange(subjects) % f

    def effects(of_seeds: float, of_folds: float) -> Floats:
        """Effect of the training run that tests each subject, (R, A, S, N)."""
        own = np.sqrt(1 - folds.seed_related) * rng.normal(0, of_seeds, (studies, arms, seeds, f))
        own = own + np.sqrt(folds.seed_related) * rng.normal(0, of_seeds, (studies, arms, seeds, 1))
        sets = np.sqrt(1 - folds.overlap) * rng.normal(0, of_folds, (studies, arms, 1, f))
        sets = sets + np.sqrt(folds.overlap) * rng.normal(0, of_folds, (studies, arms, 1, 1))
        return np.asarray((own + sets)[..., fold_N])

    skill, level = effects(regime.skill_sd, folds.skill_sd), effects(regime.level, folds.level)
    return y, scores + skill * (y - 0.5)[:, None, None, :] + level, fold_N


@cache
def truth_of_folds(metric: str, regime: Regime, folds: Folds) -> float:
    """Expectation of the metric over new seeds, training sets and subjects: pooled over many folds of many studies."""
    rng = np.random.default_rng(98)
    many = replace(folds, count=300)
    found = [measure(metric, *draw_folds(rng, regime, many, 40, 1, 9000)[:2])[0].mean() for _ in range(5)]
    return float(np.mean(found))


def draw(
    rng: np.random.Generator, regime: Regime, studies: int, seeds: int, subjects: int, better: Sequence[float] = (0.0,)
) -> tuple[Bools, Floats]:
    """Labels (R, N) with both classes in each study, and scores (R, A, S, N).

    Args:
        better: Difference of each arm's skill from the regime's skill, one value per arm.
    """
    arms = len(better)
    y = rng.random((studies, subjects)) < regime.prevalence
    y[:, :2] |= ~y.any(axis=1, keepdims=True)
    y[:, 2:4] &= ~y.all(axis=1, keepdims=True)
    hard = rng.normal(0, regime.subject, (studies, 1, 1, subjects))
    if regime.arm_subject:
        hard = hard + rng.normal(0, regime.arm_subject, (studies, arms, 1, subjects))

    def seed_effect(sd: float) -> Floats:
        own = np.sqrt(1 - regime.related) * rng.normal(0, sd, (studies, arms, seeds, 1))
        shared = np.sqrt(regime.related) * rng.normal(0, sd, (studies, 1, seeds, 1))
        return np.asarray(own + shared)

    skill = regime.skill + np.asarray(better)[:, None, None] + seed_effect(regime.skill_sd)
    noise = rng.normal(0, regime.noise, (studies, arms, seeds, subjects))
    return y, skill * (y - 0.5)[:, None, None, :] + hard + seed_effect(regime.level) + noise


def measure(metric: str, y_RN: Bools, scores_RASN: Floats) -> tuple[Floats, Floats]:
    """Metric for each seed (R, A, S) and influence values (R, A, S, N), as in `agrm_study.statistics` but
    vectorised."""
    y = y_RN[:, None, None, :]
    if metric == "roc_auc":
        return _roc_auc(np.broadcast_to(y, scores_RASN.shape), scores_RASN)
    called = scores_RASN >= 0
    if metric == "accuracy":
        hits = (called == y).astype(np.float64)
        return hits.mean(axis=-1), hits - hits.mean(axis=-1, keepdims=True)
    value, without = 0.0, 0.0
    for k in (False, True):
        of_class, as_class = (y == k).astype(np.float64), (called == k).astype(np.float64)
        both = of_class * as_class
        right, size = both.sum(axis=-1), of_class.sum(axis=-1) + as_class.sum(axis=-1)
        value = value + right / size
        with np.errstate(invalid="ignore", divide="ignore"):
            left = (right[..., None] - both) / (size[..., None] - of_class - as_class)
        without = without + left
    return np.asarray(value), np.asarray((y.shape[-1] - 1) * (np.asarray(value)[..., None] - without))


def _roc_auc(y: Bools, scores: Floats) -> tuple[Floats, Floats]:
    """Placement values, for scores without ties."""
    order = np.argsort(scores, axis=-1)
    back = np.argsort(order, axis=-1)
    sorted_y = np.take_along_axis(y, order, axis=-1)
    m, n = y.sum(axis=-1, keepdims=True), (~y).sum(axis=-1, keepdims=True)
    below = np.take_along_axis(np.cumsum(~sorted_y, axis=-1), back, axis=-1) / n
    above = (m - np.take_along_axis(np.cumsum(sorted_y, axis=-1), back, axis=-1)) / m
    auc = np.where(y, below, 0).sum(axis=-1, keepdims=True) / m
    total = m + n
    influence = np.where(y, (below - auc) * total / m, (above - auc) * total / n)
    return auc[..., 0], np.where(np.minimum(m, n) < FEWEST_OF_CLASS, np.nan, influence)


@cache
def truth(metric: str, regime: Regime) -> float:
    """Expectation of the metric over new seeds and new subjects, from 8,000 seeds with 1,500 new subjects each."""
    rng = np.random.default_rng(99)
    found = [measure(metric, *draw(rng, regime, 400, 1, 1500))[0].mean() for _ in range(20)]
    return float(np.mean(found))


def chi2_nodes(df: float, count: int) -> Floats:
    """Mid-quantiles of a chi-square distribution."""
    return np.asarray(stats.chi2.ppf((np.arange(count) + 0.5) / count, df))
