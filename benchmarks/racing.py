"""Rate at which races drop a best arm, and share of trials saved, in simulated studies.

    python benchmarks/racing.py --races 2000

Simulates races of four arms by macro F1 on a validation part of a given size: the score of a subject is skill·(class) +
subject effect + seed effect + noise. `equal`: all arms have the same skill, so that each is a best arm; the error rate
is largest here. `apart`: skills 3.0, 2.2, 2.0 and 1.2. Prints a Markdown table.
"""

from __future__ import annotations

import argparse

import numpy as np

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.classification import METRICS, count
from agrm_study.statistics.racing import race, seeds_used

SUBJECT_SD, SEED_SD, SEED_SKILL_SD, NOISE_SD, PREVALENCE = 1.0, 0.25, 0.25, 0.8, 2 / 3
EQUAL, APART = (2.2, 2.2, 2.2, 2.2), (3.0, 2.2, 2.0, 1.2)


def scores(rng: np.random.Generator, skills: tuple[float, ...], subjects: int, seeds: int) -> Floats:
    """Macro F1 of each arm for each seed (A, S), on the same subjects."""
    labels = (rng.random(subjects) < PREVALENCE).astype(np.int64)
    hard = rng.normal(0, SUBJECT_SD, subjects)
    rows = []
    for skill in skills:
        level = rng.normal(0, SEED_SD, (seeds, 1))
        own = skill + rng.normal(0, SEED_SKILL_SD, (seeds, 1))
        noise = rng.normal(0, NOISE_SD, (seeds, subjects))
        score = own * (labels - 0.5) + hard + level + noise
        rows.append(METRICS["macro_f1"](count(labels, (score >= 0).astype(np.int64), 2)))
    return np.array(rows)


def simulate(races: int, subjects: int, *, first: int = 3, most: int = 10, level: float = 0.05) -> dict[str, float]:
    """Rates over simulated races of equal and of different arms.

    Returns:
        ``error_equal``: share of (equal) arms that were dropped; ``error_apart``: share of races that dropped the best
            arm; ``saved_equal`` and ``saved_apart``: share of the trials that were not run.
    """
    rng = np.random.default_rng([2026, subjects])
    arms = len(EQUAL)
    found = dict.fromkeys(("error_equal", "error_apart", "saved_equal", "saved_apart"), 0.0)
    for _ in range(races):
        equal = race(scores(rng, EQUAL, subjects, most), first=first, most=most, level=level)
        apart = race(scores(rng, APART, subjects, most), first=first, most=most, level=level)
        found["error_equal"] += len(equal) / arms
        found["error_apart"] += 0 in apart
        found["saved_equal"] += 1 - seeds_used(equal, arms, most) / (arms * most)
        found["saved_apart"] += 1 - seeds_used(apart, arms, most) / (arms * most)
    return {name: value / races for name, value in found.items()}


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--races", type=int, default=2000)
    parser.add_argument("--level", type=float, default=0.05)
    options = parser.parse_args()
    print(
        "| Validation subjects | Best arm dropped (all arms equal) | Best arm dropped (arms differ) "
        "| Trials saved (all arms equal) | Trials saved (arms differ) |"
    )
    print("| --: | --: | --: | --: | --: |")
    for subjects in (12, 30, 100):
        found = simulate(options.races, subjects, level=options.level)
        cells = (found[k] for k in ("error_equal", "error_apart", "saved_equal", "saved_apart"))
        print(f"| {subjects} | {' | '.join(f'{100 * value:.1f}%' for value in cells)} |")


if __name__ == "__main__":
    main()
