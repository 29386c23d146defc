"""Metrics, intervals and tests recomputed from the records with numpy, scipy and scikit-learn only."""

import functools
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import optimize, special, stats
from sklearn import metrics as sk
from synthetic_records import trial_id

SEEDS = (0, 1, 2)
CLASSES = {"two_class": 2, "three_class": 3}
STUDENTS = ("w/o MTM", "w/o both")
"""Arms whose student is tested."""


class Study:
    """Labels and probabilities straight from the parquet files."""

    def __init__(self, root):
        self.root = root

    @functools.cache  # noqa: B019
    def probabilities(self, arm, task, part="test", network=None):
        network = network or ("student" if arm in STUDENTS else "teacher")
        out = []
        for seed in SEEDS:
            file = self.root / "records" / "predictions" / f"{trial_id(arm, task, seed)}.parquet"
            rows = pq.read_table(file).to_pandas()
            rows = rows[(rows["split"] == part) & (rows["network"] == network)]
            p = special.softmax(np.stack(rows["logits"]).astype(np.float64), axis=1)
            subjects = sorted(set(rows["subject_id"]))
            where = rows["subject_id"].to_numpy()
            out.append(np.stack([p[where == s].mean(axis=0) for s in subjects]))
            labels = np.array([rows.loc[where == s, "label"].iloc[0] for s in subjects])
        return labels, np.stack(out)

    def decisions(self, arm, task, part="test", network=None):
        labels, p = self.probabilities(arm, task, part, network)
        return labels, (p[..., 1] >= 0.5).astype(int) if p.shape[-1] == 2 else p.argmax(axis=-1)


def by_class(y, d, k):
    right, called, own = ((y == k) & (d == k)).sum(), (d == k).sum(), (y == k).sum()
    precision = right / called if called else 0.0
    return precision, right / own, 2 * right / (called + own)


def macro(i, k):
    return lambda y, d: np.mean([by_class(y, d, c)[i] for c in range(k)])


def ppv(y, d, at=None):
    sensitivity, specificity = d[y == 1].mean(), 1 - d[y == 0].mean()
    at = (y == 1).mean() if at is None else at
    return sensitivity * at / (sensitivity * at + (1 - specificity) * (1 - at))


def npv(y, d, at=None):
    return ppv(1 - y, 1 - d, None if at is None else 1 - at)


def decided(k):
    out = {"accuracy": lambda y, d: (y == d).mean()}
    return out | {f"macro_{n}": macro(i, k) for i, n in enumerate(("precision", "recall", "f1"))}


def jackknife(function, y, d):
    n = len(y)
    return (n - 1) * (function(y, d) - np.array([function(np.delete(y, i), np.delete(d, i, 0)) for i in range(n)]))


def scored(function, y, d_SN):
    return np.array([function(y, d) for d in d_SN]), np.stack([jackknife(function, y, d) for d in d_SN])


def area(y, p_SN):
    values, influence = [], []
    for p in p_SN:
        psi = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])
        u = np.zeros(len(y))
        u[y == 1] = (psi.mean(1) - psi.mean()) * len(y) / (y == 1).sum()
        u[y == 0] = (psi.mean(0) - psi.mean()) * len(y) / (y == 0).sum()
        values.append(sk.roc_auc_score(y, p))
        influence.append(u)
    return np.array(values), np.stack(influence)


def average_precision(y, p_SN):
    step, n = 1e-6, len(y)

    def weighted(p, w):
        order = np.argsort(-p)
        true, called = np.cumsum((w * y)[order]), np.cumsum(w[order])
        return ((w * y)[order] * true / called).sum() / (w * y).sum()

    def slope(p, i):
        return (
            n * (weighted(p, 1 + step * (np.arange(n) == i)) - weighted(p, 1 - step * (np.arange(n) == i))) / (2 * step)
        )

    values = np.array([sk.average_precision_score(y, p) for p in p_SN])
    assert values == pytest.approx([weighted(p, np.ones(n)) for p in p_SN])
    return values, np.array([[slope(p, i) for i in range(n)] for p in p_SN])


def parts_of(values, u):
    """V_seeds, V_subjects, V_interaction, degrees of freedom of the first two."""
    s, n = u.shape
    u = u - u.mean(axis=1, keepdims=True)
    m = u.mean(axis=0)
    subjects = (m**2).sum() / (n - 1) / n
    second, fourth = (m**2).sum(), (m**4).sum()
    spread = fourth - second**2 / n
    df = min(max(2 * second**2 / spread if spread > 0 else n - 1, 1), n - 1)
    both = ((u - m) ** 2).sum() / ((s - 1) * (n - 1)) / (s * n)
    return np.var(values, ddof=1) / s, subjects, both, s - 1.0, df


def variance(seeds, subjects, both, seed_df, subject_df):
    v = max(seeds + max(subjects - both, 0), subjects)
    df = v**2 / (seeds**2 / seed_df + subjects**2 / subject_df) if v > 0 else seed_df
    return v, min(max(df, 1), 3 * seed_df)


def interval(values, u, low=0.0, high=1.0):
    v, df = variance(*parts_of(values, u))
    mean, half = values.mean(), stats.t.ppf(0.975, df) * math.sqrt(v)
    if math.isinf(low):
        return mean - half, mean + half
    x, half = (mean - low) / (high - low), half / (high - low)
    if not (0 < x < 1 and half > 0):
        return math.nan, math.nan

    def beyond(end):
        return abs(x - end) - half * (end * (1 - end) / (x * (1 - x))) ** 0.75

    ends = [optimize.brentq(beyond, *around, xtol=1e-15) for around in ((1e-16, x), (x, 1 - 1e-16))]
    return tuple(low + (high - low) * e for e in ends)


def seeds_shared(values_AS):
    x = np.array(values_AS)
    a, s = x.shape
    seeds = x.mean(0) - x.mean()
    rest = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    f = (a * (seeds**2).sum() / (s - 1)) / ((rest**2).sum() / ((a - 1) * (s - 1)))
    return stats.f.sf(f, s - 1, (a - 1) * (s - 1)) < 0.02


def contrast(terms, paired):
    """Δ, variance, degrees of freedom, parts."""
    delta = sum(c * v.mean() for c, v, _ in terms)
    if paired:
        parts = parts_of(sum(c * v for c, v, _ in terms), sum(c * u for c, _, u in terms))
    else:
        each = [(c, parts_of(v, u)) for c, v, u in terms]
        seeds = sum(c * c * p[0] for c, p in each)
        seed_df = seeds**2 / sum((c * c * p[0]) ** 2 / p[3] for c, p in each)
        m = sum(c * (u - u.mean(1, keepdims=True)).mean(0) for c, _, u in terms)
        _, subjects, _, _, df = parts_of(np.zeros(2), np.stack([m, m]))
        parts = (seeds, subjects, sum(c * c * p[2] for c, p in each), seed_df, df)
    return delta, *variance(*parts), parts


def difference(terms, paired, bound=1.0):
    delta, v, df, _ = contrast(terms, paired)
    half = stats.t.ppf(0.975, df) * math.sqrt(v)
    out = {"": delta, "_low": max(delta - half, -bound), "_high": min(delta + half, bound)}
    out |= {"_n": 3, "_paired": int(paired), "_df": df, "_hedges_g": math.nan}
    if len(terms) == 2:
        a, b = terms[0][1], terms[1][1]
        pooled = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
        out["_hedges_g"] = math.gamma(2) / (math.sqrt(2) * math.gamma(1.5)) * delta / pooled
    return out


def holm(p):
    order = np.argsort(p)
    adjusted = np.maximum.accumulate([min(1, (len(p) - i) * p[k]) for i, k in enumerate(order)])
    return dict(zip(order, adjusted, strict=True))


def check(row, prefix, expected):
    for key, value in expected.items():
        text = row[f"{prefix}{key}"]
        got = math.nan if text == "" else float(text)
        assert got == pytest.approx(value, rel=1e-5, abs=1e-7, nan_ok=True), (row.get("arm"), prefix + key)


def estimate(values, u, low=0.0, high=1.0):
    ends = interval(values, u, low, high)
    return {"": values.mean(), "_std": values.std(ddof=1), "_n": 3, "_low": ends[0], "_high": ends[1]}


def cell(values, u):
    """All that the comparing tables hold about a metric."""
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    return estimate(values, u) | {"_planned": 3, "_seed_low": low, "_seed_high": high}


def covered(row, *prefixes):
    """Whether every numeric column of a row belongs to a prefix that was checked."""
    numeric = {k for k, v in row.items() if v.replace(".", "").replace("-", "").replace("e", "").isdigit()}
    assert {k for k in numeric if not k.startswith(prefixes)} == set()
