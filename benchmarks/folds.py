"""Coverage and width of the interval for pooled folds, and error rate of the test, in simulated studies.

    python benchmarks/folds.py                    # 400 studies per cell, one minute
    python benchmarks/folds.py --studies 2000     # the published numbers, eight minutes

Simulates studies (`regimes.py`) of 200 subjects in 5 folds. Each training run, one per seed and fold, has its own
effects, and the training runs of a fold share an effect of their training set across all seeds. The true value is the
metric's expectation over new seeds, training sets and subjects. Coverage: share of the reported 95 % intervals that
contain it; without folds: the same without the variance of folds. One split: coverage of the interval from the first
fold alone, which uses a single training set. Width: mean width divided by the mean width for one split. Error: share of
studies of two equal arms with p < .05.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from regimes import FOLD_REGIMES, OVERLAPPING, Folds, Regime, draw_folds, measure, truth_of_folds

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.two_way import bounded_interval, combined, components, t_test

METRICS = ("accuracy", "macro_f1")
SUBJECTS = 200
AT_ONCE = 100
SEED = 44
"""Simulation seed of the published numbers, chosen after the rule had been fixed."""


@dataclass(frozen=True)
class Row:
    """Rates for one cell."""

    regime: str
    seeds: int
    metric: str
    coverage: float
    without: float
    one_split: float
    width: float
    error: float


def _covers(ends: Floats, right: float) -> float:
    low, high = ends
    shown = np.isfinite(low)
    return float(((low <= right) & (right <= high))[shown].mean())


def of_cell(name: str, regime: Regime, folds: Folds, seeds: int, studies: int, seed: int = SEED) -> Iterator[Row]:
    """Results of one cell: a regime and a number of seeds."""
    rng = np.random.default_rng([seed, seeds, *map(ord, name)])
    ends: dict[tuple[str, str], list[Floats]] = {}
    p: dict[str, list[Floats]] = {}
    for _ in range(0, studies, AT_ONCE):
        y, scores, fold_N = draw_folds(rng, regime, folds, AT_ONCE, seeds, SUBJECTS, (0.0, 0.0))
        fold_SN = np.tile(fold_N, (seeds, 1))
        first = fold_N == 0
        for metric in METRICS:
            values, influence = measure(metric, y, scores)
            mean = values[:, 0].mean(axis=-1)
            for rule, of_folds in (("pooled", fold_SN), ("without", None)):
                c = components(values[:, 0], influence[:, 0], of_folds)
                assert c is not None
                ends.setdefault((metric, rule), []).append(bounded_interval(mean, c))
            alone, influence_alone = measure(metric, y[:, first], scores[..., first])
            c = components(alone[:, 0], influence_alone[:, 0])
            assert c is not None
            ends.setdefault((metric, "one split"), []).append(bounded_interval(alone[:, 0].mean(axis=-1), c))
            parts = [(sign, values[:, a], influence[:, a]) for a, sign in ((1, 1.0), (0, -1.0))]
            both = combined(parts, paired=False, folds=[fold_SN, fold_SN])
            assert both is not None
            p.setdefault(metric, []).append(t_test((values[:, 1] - values[:, 0]).mean(axis=-1), both))
    for metric in METRICS:
        right = truth_of_folds(metric, regime, folds)
        of = {rule: np.concatenate(ends[metric, rule], axis=1) for rule in ("pooled", "without", "one split")}
        width = {rule: float(np.nanmean(high - low)) for rule, (low, high) in of.items()}
        yield Row(
            regime=name,
            seeds=seeds,
            metric=metric,
            coverage=_covers(of["pooled"], right),
            without=_covers(of["without"], right),
            one_split=_covers(of["one split"], right),
            width=width["pooled"] / width["one split"],
            error=float((np.concatenate(p[metric]) < 0.05).mean()),
        )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5])
    options = parser.parse_args()
    print("| Regime | n | metric | coverage | without folds | one split | width | error |")
    print("| :-- | --: | :-- | --: | --: | --: | --: | --: |")
    for name, (regime, folds) in (FOLD_REGIMES | OVERLAPPING).items():
        for seeds in options.seeds:
            for row in of_cell(name, regime, folds, seeds, options.studies):
                rates = " | ".join(f"{100 * x:.1f}" for x in (row.coverage, row.without, row.one_split))
                print(
                    f"| {name} | {seeds} | {row.metric} | {rates} | {row.width:.2f} | {100 * row.error:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
