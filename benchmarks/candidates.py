"""Alternative rules for intervals and tests, compared with the shipped rule.

Interval rules accept the metric for each seed (R, S) and its variance components, and return the endpoints (2, R), NaN
if the interval is undefined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from regimes import chi2_nodes
from scipy import special

from agrm_study.statistics.arrays import Bools, Floats
from agrm_study.statistics.two_way import Components, bounded_interval, combined, seeds_move_together, t_test

Ends = Floats
NODES = 128


def _logit(mean_R: Floats, half_R: Floats) -> Ends:
    """An interval of half-width ``half`` on the metric's own scale, transformed to the logit scale and back."""
    with np.errstate(all="ignore"):
        centre, step = np.log(mean_R) - np.log1p(-mean_R), half_R / (mean_R * (1 - mean_R))
        ends = special.expit(np.stack([centre - step, centre + step]))
    return np.where((mean_R > 0) & (mean_R < 1) & (half_R > 0), ends, np.nan)


def _t(df: Floats) -> Floats:
    return np.asarray(special.stdtrit(np.clip(df, 1, 1e6), 0.975))


def shipped(values_RS: Floats, c: Components) -> Ends:
    """The package's rule."""
    return bounded_interval(values_RS.mean(axis=-1), c)


def logit(values_RS: Floats, c: Components) -> Ends:
    """The package's rule on the logit scale."""
    return _logit(values_RS.mean(axis=-1), c.half_width())


def uncapped(values_RS: Floats, c: Components) -> Ends:
    """The package's variance with unbounded Satterthwaite degrees of freedom."""
    with np.errstate(all="ignore"):
        df = c.variance**2 / (c.seeds**2 / c.seed_df + c.subjects**2 / c.subject_df)
    return _logit(values_RS.mean(axis=-1), _t(df) * np.sqrt(c.variance))


def summed(values_RS: Floats, c: Components) -> Ends:
    """V_seeds + V_subjects, the interaction counted twice, Satterthwaite's t."""
    v = c.seeds + c.subjects
    with np.errstate(all="ignore"):
        df = v**2 / (c.seeds**2 / c.seed_df + c.subjects**2 / (c.n_subjects - 1))
    return _logit(values_RS.mean(axis=-1), _t(df) * np.sqrt(v))


def mixed_model(values_RS: Floats, c: Components) -> Ends:
    """Crossed random effects by REML; in a balanced table, these are the mean squares, truncated at 0."""
    seeds, subjects = np.maximum(c.seeds - c.interaction, 0), np.maximum(c.subjects - c.interaction, 0)
    v = seeds + subjects + c.interaction
    both_df = (c.n_seeds - 1) * (c.n_subjects - 1)
    with np.errstate(all="ignore"):
        parts = seeds**2 / c.seed_df + subjects**2 / (c.n_subjects - 1) + c.interaction**2 / both_df
        df = v**2 / parts
    return _logit(values_RS.mean(axis=-1), _t(df) * np.sqrt(v))


def behrens_fisher(values_RS: Floats, c: Components) -> Ends:
    """Quantile of √V_seeds·t + √V_rest·t, each with its own degrees of freedom (generalised confidence interval)."""
    rest = np.maximum(c.subjects - c.interaction, 0) * (_t(c.subject_df) / 1.959964) ** 2
    v = c.seeds[:, None] * ((c.n_seeds - 1) / chi2_nodes(c.n_seeds - 1, NODES)) + rest[:, None]
    low, high = np.zeros(len(rest)), 2 * (_t(np.asarray(c.seed_df)) * np.sqrt(c.seeds) + 2.5 * np.sqrt(rest)) + 1e-12
    for _ in range(30):
        middle = (low + high) / 2
        over = special.ndtr(-middle[:, None] / np.sqrt(np.maximum(v, 1e-300))).mean(axis=-1) > 0.025
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return _logit(values_RS.mean(axis=-1), high)


def over_seeds(values_RS: Floats, c: Components) -> Ends:
    """Student's t over seeds, with the test set fixed."""
    s = values_RS.shape[-1]
    error = values_RS.std(axis=-1, ddof=1) / np.sqrt(s)
    half = special.stdtrit(s - 1, 0.975) * error
    mean = values_RS.mean(axis=-1)
    return np.where(half > 0, np.stack([mean - half, mean + half]), np.nan)


INTERVALS: dict[str, Callable[[Floats, Components], Ends]] = {
    "shipped": shipped,
    "logit scale": logit,
    "uncapped df": uncapped,
    "V_seeds + V_subjects": summed,
    "mixed model": mixed_model,
    "Behrens-Fisher": behrens_fisher,
    "t over seeds": over_seeds,
}
"""Interval rules by name, without the two bootstraps, which resample subjects themselves."""


class Bootstrap:
    """Two-way bootstrap of accuracy or macro-F1: seeds and subjects are resampled independently, with one set of
    resamples for many studies."""

    def __init__(self, rng: np.random.Generator, seeds: int, subjects: int, replicates: int = 400) -> None:
        self.subjects_BN = rng.multinomial(subjects, [1 / subjects] * subjects, size=replicates).astype(np.float32)
        self.seeds_BS = rng.multinomial(seeds, [1 / seeds] * seeds, size=replicates) / seeds

    def means(self, metric: str, y_N: Bools, called_SN: Bools) -> Floats:
        """Seed average of each replicate, (B,)."""
        w = self.subjects_BN
        if metric == "accuracy":
            per_seed = w @ (called_SN == y_N).T.astype(np.float32) / w.shape[1]
        else:
            per_seed = 0.0
            for k in (False, True):
                right = w @ ((called_SN == k) & (y_N == k)).T.astype(np.float32)
                size = w @ (called_SN == k).T.astype(np.float32) + (w @ (y_N == k).astype(np.float32))[:, None]
                with np.errstate(all="ignore"):
                    per_seed = per_seed + right / size
        return np.asarray((np.asarray(per_seed) * self.seeds_BS).sum(axis=1), dtype=np.float64)

    def percentile(self, means_B: Floats) -> Ends:
        """Percentile interval over the defined replicates."""
        return np.asarray(np.nanquantile(means_B, [0.025, 0.975]))

    def p_value(self, differences_B: Floats) -> float:
        """2·(1 + smaller tail)/(B + 1)."""
        x = differences_B[~np.isnan(differences_B)]
        return float(min(1.0, 2 * (1 + min((x <= 0).sum(), (x >= 0).sum())) / (x.size + 1)))

    def studentized(self, hits_SN: Floats) -> Ends:
        """Bootstrap-t of accuracy on the logit scale, with V_seeds + V_subjects as each replicate's variance."""
        s, n = hits_SN.shape

        def root(mean: Floats, seeds: Floats, subjects: Floats) -> Floats:
            return np.asarray(np.sqrt(seeds + subjects) / (mean * (1 - mean)))

        mean = hits_SN.mean()
        if not 0 < mean < 1:
            return np.array([np.nan, np.nan])
        by_seed = self.subjects_BN @ hits_SN.T.astype(np.float32) / n
        means = (by_seed * self.seeds_BS).sum(axis=1)
        seeds = (self.seeds_BS * (by_seed - means[:, None]) ** 2).sum(axis=1) / (s - 1)
        by_subject = self.seeds_BS @ hits_SN
        subjects = (self.subjects_BN * (by_subject - means[:, None]) ** 2).sum(axis=1) / (n - 1) / n
        with np.errstate(all="ignore"):
            t = (special.logit(means) - special.logit(mean)) / root(means, seeds, subjects)
        t = t[np.isfinite(t)]
        if t.size < 50:
            return np.array([np.nan, np.nan])
        own = root(mean, hits_SN.mean(axis=1).var(ddof=1) / s, hits_SN.mean(axis=0).var(ddof=1) / n)
        low, high = np.quantile(t, [0.025, 0.975])
        return np.asarray(special.expit(special.logit(mean) - own * np.array([high, low])))


def tests(values_RAS: Floats, influence_RASN: Floats) -> dict[str, Floats]:
    """Uncorrected p-values (R, A − 1) of each arm against the first, by rule."""
    arms = values_RAS.shape[1]
    paired, independent, welch, students = [], [], [], []
    for a in range(1, arms):
        parts = [(1.0, values_RAS[:, a], influence_RASN[:, a]), (-1.0, values_RAS[:, 0], influence_RASN[:, 0])]
        delta = values_RAS[:, a].mean(axis=-1) - values_RAS[:, 0].mean(axis=-1)
        found = {how: combined(parts, paired=how) for how in (True, False)}
        assert found[True] is not None
        assert found[False] is not None
        paired.append(t_test(delta, found[True]))
        independent.append(t_test(delta, found[False]))
        students.append(_seeds_only(delta, found[True]))
        welch.append(_seeds_only(delta, found[False]))
    both = {"always paired": paired, "never paired": independent, "paired t": students, "Welch": welch}
    out = {name: np.stack(p, axis=1) for name, p in both.items()}
    for name, shared_R in (
        ("shipped", seeds_move_together(values_RAS)),
        ("F-test at .05", seeds_move_together(values_RAS, 0.05)),
    ):
        out[name] = np.where(shared_R[:, None], out["always paired"], out["never paired"])
    return out


def _seeds_only(delta_R: Floats, c: Components) -> Floats:
    """t-test over seeds, with the test set fixed."""
    with np.errstate(all="ignore"):
        return np.asarray(2 * special.stdtr(c.seed_df, -np.abs(delta_R) / np.sqrt(c.seeds)))


def holm(p_RK: Floats) -> Floats:
    """Holm adjustment of each row; NaN counts as 1."""
    p = np.where(np.isnan(p_RK), 1.0, p_RK)
    order = np.argsort(p, axis=-1)
    k = p.shape[-1]
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, -1) * (k - np.arange(k)), axis=-1)
    out = np.empty_like(p)
    np.put_along_axis(out, order, np.minimum(stepped, 1.0), -1)
    return out
