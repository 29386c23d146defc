"""Coverage of the pointwise intervals of ROC and precision–recall curves in simulated studies.

    python benchmarks/bands.py                  # two minutes; reproduces the numbers in docs/statistics.md
    python benchmarks/bands.py --studies 100
    python benchmarks/bands.py --folds          # studies with five pooled folds

Studies are simulated as in `regimes.py`. The true curve is the mean curve of many seeds, each on many new subjects;
with folds, each seed also has new training sets. The output lists, for each point of the grid, the share of studies
whose interval contains the true value and the share with a defined interval.
"""

from __future__ import annotations

import argparse

import numpy as np
from regimes import FOLD_REGIMES, REGIMES, Folds, Regime, draw, draw_folds

from agrm_study.statistics.arrays import Bools, Floats, Ints
from agrm_study.statistics.curve_bands import Heights, curve_band, precision_at_recall, sensitivity_at
from agrm_study.statistics.ranking import cumulated

SHOWN = ("default", "seeds 2-3 x", "seeds dominate", "10 % prevalence")
CELLS = ((3, 172), (5, 172), (5, 48))
"""Pairs (seeds, test subjects)."""
SHOWN_FOLDS = ("no fold effect", "fold effect as of seeds", "fold effect 2 x", "seeds dominate", "10 % prevalence")
FOLD_CELLS = ((3, 200), (5, 200))
"""Pairs (seeds, subjects of all folds)."""
GRID = np.linspace(0, 1, 101)[1:]
"""False-positive rates or recalls at which coverage is evaluated."""
CURVES: dict[str, tuple[Heights, tuple[int, ...]]] = {
    "sensitivity at 1 − specificity": (sensitivity_at, (5, 10, 20, 50)),
    "precision at recall": (precision_at_recall, (50, 80, 95)),
}
"""Grid points reported for each curve, in percent."""
SEED = 31


def drawn(
    rng: np.random.Generator, regime: Regime, folds: Folds | None, studies: int, seeds: int, subjects: int
) -> tuple[Bools, Floats, Ints | None]:
    """Labels (R, N), scores (R, A, S, N) and, with folds, the fold of each subject by seed (S, N)."""
    if folds is None:
        return *draw(rng, regime, studies, seeds, subjects), None
    y, scores, fold_N = draw_folds(rng, regime, folds, studies, seeds, subjects)
    return y, scores, np.tile(fold_N, (seeds, 1))


def truth(regime: Regime, heights: Heights, folds: Folds | None = None) -> Floats:
    """Mean height at each point of the grid, over 2,000 seeds with 1,500 new subjects each."""
    rng = np.random.default_rng([SEED, 0])
    found = []
    for _ in range(20):
        y, scores, _ = drawn(rng, regime, folds, 100, 1, 1500)
        whole = np.ones((1, 1500))
        found += [heights(*cumulated(a, b, whole)[:2], GRID) for a, b in zip(y, scores[:, 0, 0], strict=True)]
    return np.asarray(np.concatenate(found).mean(axis=0))


def coverage(
    regime: Regime, seeds: int, subjects: int, studies: int, folds: Folds | None = None
) -> dict[str, tuple[Floats, Floats]]:
    """Coverage and share of defined intervals at each point, by curve."""
    out = {}
    for name, (heights, shown_at) in CURVES.items():
        at = np.array(shown_at) - 1
        right = truth(regime, heights, folds)[at]
        rng = np.random.default_rng([SEED, 1, seeds, subjects])
        y, scores, fold_SN = drawn(rng, regime, folds, studies, seeds, subjects)
        bands = [curve_band(a, b[0], heights, GRID, fold_SN) for a, b in zip(y, scores, strict=True)]
        low, high = np.stack([b.low[at] for b in bands]), np.stack([b.high[at] for b in bands])
        shown = np.isfinite(low)
        held = (low <= right) & (right <= high) & shown
        out[name] = held.sum(axis=0) / np.maximum(shown.sum(axis=0), 1), shown.mean(axis=0)
    return out


def main() -> None:
    """Parse the command line and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="simulated studies per cell [default: 400]")
    parser.add_argument("--folds", action="store_true", help="pooled folds instead of a single split")
    parser.add_argument("--regimes", nargs="+", help="regimes to simulate [default: all in the table]")
    options = parser.parse_args()
    single = {name: (REGIMES[name], None) for name in SHOWN}
    regimes: dict[str, tuple[Regime, Folds | None]] = {}
    regimes |= {name: FOLD_REGIMES[name] for name in SHOWN_FOLDS} if options.folds else single
    titles = [f"{name} {x} %" for name, (_, shown_at) in CURVES.items() for x in shown_at]
    print(f"| Regime | n | N | {' | '.join(titles)} |", "| :-- |" + " --: |" * (2 + len(titles)), sep="\n")
    for name in options.regimes or regimes:
        for seeds, subjects in FOLD_CELLS if options.folds else CELLS:
            regime, folds = regimes[name]
            found = coverage(regime, seeds, subjects, options.studies, folds)
            texts = [
                f"{100 * held:.1f}" + (f" ({100 * shown:.0f})" if shown < 0.995 else "")
                for held_G, shown_G in found.values()
                for held, shown in zip(held_G, shown_G, strict=True)
            ]
            print(f"| {name} | {seeds} | {subjects} | {' | '.join(texts)} |", flush=True)


if __name__ == "__main__":
    main()
