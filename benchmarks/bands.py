"""Coverage of the pointwise intervals of ROC and precision–recall curves in simulated studies.

    python benchmarks/bands.py                  # two minutes; the figures of docs/statistics.md
    python benchmarks/bands.py --studies 100

Studies are those of `regimes.py`. The truth is the mean curve of many seeds, each on many fresh subjects. Printed: the
share of studies whose interval holds the truth at each point of the grid, and the share that has an interval there.
"""

from __future__ import annotations

import argparse

import numpy as np
from regimes import REGIMES, Regime, draw

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.curve_bands import Heights, curve_band, precision_at_recall, sensitivity_at
from agrm_study.statistics.ranking import cumulated

SHOWN = ("default", "seeds 2-3 x", "seeds dominate", "10 % prevalence")
CELLS = ((3, 172), (5, 172), (5, 48))
"""(Seeds, test subjects)."""
GRID = np.linspace(0, 1, 101)[1:]
"""The points of the figures."""
CURVES: dict[str, tuple[Heights, tuple[int, ...]]] = {
    "sensitivity at 1 − specificity": (sensitivity_at, (5, 10, 20, 50)),
    "precision at recall": (precision_at_recall, (50, 80, 95)),
}
"""What is shown of each curve: points of the grid, in percent."""
SEED = 31


def truth(regime: Regime, heights: Heights) -> Floats:
    """Mean height at each point of the grid, over 2,000 seeds with 1,500 fresh subjects each."""
    rng = np.random.default_rng([SEED, 0])
    found = []
    for _ in range(20):
        y, scores = draw(rng, regime, 100, 1, 1500)
        whole = np.ones((1, 1500))
        found += [heights(*cumulated(a, b, whole)[:2], GRID) for a, b in zip(y, scores[:, 0, 0], strict=True)]
    return np.asarray(np.concatenate(found).mean(axis=0))


def coverage(regime: Regime, seeds: int, subjects: int, studies: int) -> dict[str, tuple[Floats, Floats]]:
    """Coverage and share of defined intervals at each point, by curve."""
    out = {}
    for name, (heights, shown_at) in CURVES.items():
        at = np.array(shown_at) - 1
        right = truth(regime, heights)[at]
        rng = np.random.default_rng([SEED, 1, seeds, subjects])
        y, scores = draw(rng, regime, studies, seeds, subjects)
        bands = [curve_band(a, b[0], heights, GRID) for a, b in zip(y, scores, strict=True)]
        low, high = np.stack([b.low[at] for b in bands]), np.stack([b.high[at] for b in bands])
        shown = np.isfinite(low)
        held = (low <= right) & (right <= high) & shown
        out[name] = held.sum(axis=0) / np.maximum(shown.sum(axis=0), 1), shown.mean(axis=0)
    return out


def main() -> None:
    """Reads the command line and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="in each cell [default: 400]")
    options = parser.parse_args()
    titles = [f"{name} {x} %" for name, (_, shown_at) in CURVES.items() for x in shown_at]
    print(f"| Regime | n | N | {' | '.join(titles)} |", "| :-- |" + " --: |" * (2 + len(titles)), sep="\n")
    for name in SHOWN:
        for seeds, subjects in CELLS:
            found = coverage(REGIMES[name], seeds, subjects, options.studies)
            texts = [
                f"{100 * held:.1f}" + (f" ({100 * shown:.0f})" if shown < 0.995 else "")
                for held_G, shown_G in found.values()
                for held, shown in zip(held_G, shown_G, strict=True)
            ]
            print(f"| {name} | {seeds} | {subjects} | {' | '.join(texts)} |", flush=True)


if __name__ == "__main__":
    main()
