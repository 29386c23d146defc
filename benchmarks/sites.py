"""Coverage of the interval for folds of whole sites, and error rate of the test, in simulated studies of several sites.

    python benchmarks/sites.py                    # 400 studies per cell, six minutes
    python benchmarks/sites.py --studies 1000     # the published numbers

Simulates studies (`regimes.py`) of 200 subjects from sites of unequal size, assigned to folds by
`training.data.site_folds`. Each training run, one per seed and fold, has its own effects. The training runs of a fold
share an effect of half that size. A site affects the scores of its subjects by an effect common to both arms, and by
one of half that size specific to each arm. With `mix`, sites also differ in their share of class 1 (standard deviation
15 points). The true value is the metric's expectation over new seeds, training sets, sites and subjects. Without folds:
coverage of the same interval without the variance of folds. Error: share of studies of two equal arms with p < .05.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from regimes import Regime, draw, measure

from agrm_study.statistics.arrays import Bools, Floats, Ints
from agrm_study.statistics.two_way import bounded_interval, combined, components, t_test
from agrm_study.training.data.site_folds import deal_sites

METRICS = ("accuracy", "macro_f1")
SUBJECTS = 200
AT_ONCE = 100
CELLS = ((3, 3), (5, 5), (8, 4), (10, 5), (20, 5))
"""Pairs (sites, folds)."""
EFFECTS: dict[str, tuple[float, float]] = {
    "no site effect": (0.0, 0.0),
    "site effect as of seeds": (1.0, 0.0),
    "site effect 2 x": (2.0, 0.0),
    "site effect 4 x": (4.0, 0.0),
    "site effect 2 x, mix": (2.0, 0.15),
}
"""Standard deviation of the effects of a site relative to the effects of a seed, and of its share of class 1."""
SEED = 45
"""Simulation seed of the published numbers."""


@dataclass(frozen=True)
class Row:
    """Rates for one cell."""

    effect: str
    sites: int
    folds: int
    seeds: int
    metric: str
    coverage: float
    without: float
    error: float


def draw_sites(
    rng: np.random.Generator,
    effect: tuple[float, float],
    studies: int,
    arms: int,
    seeds: int,
    site_N: Ints,
    fold_N: Ints,
) -> tuple[Bools, Floats]:
    """Labels (R, N) and scores (R, A, S, N) of subjects with given sites and folds."""
    regime, (size, mix) = Regime(), effect
    g, f = int(site_N.max()) + 1, int(fold_N.max()) + 1
    _, scores = draw(rng, Regime(level=0.0, skill_sd=0.0, skill=0.0), studies, seeds, len(site_N), (0.0,) * arms)
    share = np.clip(regime.prevalence + rng.normal(0, mix, (studies, g)), 0.05, 0.95)
    y = rng.random((studies, len(site_N))) < share[:, site_N]

    def effects(sd: float) -> Floats:
        own = rng.normal(0, sd, (studies, arms, seeds, f)) + rng.normal(0, sd / 2, (studies, arms, 1, f))
        sites = rng.normal(0, size * sd, (studies, 1, 1, g)) + rng.normal(0, size * sd / 2, (studies, arms, 1, g))
        return np.asarray(own[..., fold_N] + sites[..., site_N])

    skill = regime.skill + effects(regime.skill_sd)
    return y, scores + skill * (y - 0.5)[:, None, None, :] + effects(regime.level)


@cache
def truth(metric: str, effect: tuple[float, float]) -> float:
    """Expectation of the metric, pooled over many studies with many sites, each a separate fold."""
    rng = np.random.default_rng(97)
    site_N = np.arange(6000) % 300
    found = [measure(metric, *draw_sites(rng, effect, 40, 1, 1, site_N, site_N))[0].mean() for _ in range(10)]
    return float(np.mean(found))


def folds_of_sites(sites: int, folds: int) -> tuple[Ints, Ints]:
    """Site and fold of each subject; the size of the k-th site is proportional to 1/√k."""
    weight = 1 / np.sqrt(np.arange(1, sites + 1))
    site_N = np.searchsorted(np.cumsum(weight) / weight.sum(), (np.arange(SUBJECTS) + 0.5) / SUBJECTS)
    names = [f"{n:03d}" for n in range(SUBJECTS)]
    parts = deal_sites(
        dict.fromkeys(names, "a"), dict(zip(names, map(str, site_N), strict=True)), folds, np.random.default_rng(0)
    )
    return site_N, np.array([next(f for f, part in enumerate(parts) if name in part) for name in names])


def of_cell(name: str, sites: int, folds: int, seeds: int, studies: int, seed: int = SEED) -> Iterator[Row]:
    """Results of one cell: effects of sites, and numbers of sites, folds and seeds."""
    rng = np.random.default_rng([seed, sites, folds, seeds, *map(ord, name)])
    site_N, fold_N = folds_of_sites(sites, folds)
    fold_SN = np.tile(fold_N, (seeds, 1))
    held: dict[tuple[str, str], list[Floats]] = {}
    for _ in range(0, studies, AT_ONCE):
        y, scores = draw_sites(rng, EFFECTS[name], AT_ONCE, 2, seeds, site_N, fold_N)
        for metric in METRICS:
            right = truth(metric, EFFECTS[name])
            values, influence = measure(metric, y, scores)
            for rule, of_folds in (("pooled", fold_SN), ("without", None)):
                c = components(values[:, 0], influence[:, 0], of_folds)
                assert c is not None
                low, high = bounded_interval(values[:, 0].mean(axis=-1), c)
                held.setdefault((metric, rule), []).append(((low <= right) & (right <= high)).astype(float))
            parts = [(sign, values[:, a], influence[:, a]) for a, sign in ((1, 1.0), (0, -1.0))]
            both = combined(parts, paired=False, folds=[fold_SN, fold_SN])
            assert both is not None
            p = t_test((values[:, 1] - values[:, 0]).mean(axis=-1), both)
            held.setdefault((metric, "error"), []).append((p < 0.05).astype(float))
    for metric in METRICS:
        rate = {rule: float(np.concatenate(held[metric, rule]).mean()) for rule in ("pooled", "without", "error")}
        yield Row(name, sites, folds, seeds, metric, rate["pooled"], rate["without"], rate["error"])


def main() -> None:
    """Parse the command line and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--effects", nargs="+", choices=list(EFFECTS), default=list(EFFECTS))
    options = parser.parse_args()
    print("| Effect | sites | folds | n | metric | coverage | without folds | error |")
    print("| :-- | --: | --: | --: | :-- | --: | --: | --: |")
    for name in options.effects:
        for sites, folds in CELLS:
            for seeds in options.seeds:
                for r in of_cell(name, sites, folds, seeds, options.studies):
                    rates = " | ".join(f"{100 * x:.1f}" for x in (r.coverage, r.without, r.error))
                    print(f"| {name} | {sites} | {folds} | {seeds} | {r.metric} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
