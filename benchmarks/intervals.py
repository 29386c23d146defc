"""How often does the headline interval cover the truth, and how often does a dagger stand where nothing differs?

    python benchmarks/intervals.py --studies 1000

Simulates studies of two-class arms: a subject's score is skill·(class) + what makes the subject hard + what makes the
seed better or worse + noise. The truth is the metric's expectation over new seeds and new subjects, from one very large
draw. Prints a Markdown table: coverage of the two-way percentile bootstrap and, beside it, of the t interval over seeds
(which is meant for a fixed test set), and the share of studies of equal arms in which at least one of three comparisons
gets a dagger, or would get a star from each test alone.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.bootstrap import Draws, average_seeds, percentile_interval, replicate, replicate_ranking
from agrm_study.statistics.classification import METRICS, count
from agrm_study.statistics.comparison import ALPHA, Replicated, compare, daggers, holm
from agrm_study.statistics.estimators import seed_interval
from agrm_study.statistics.ranking import average_precision

NAMES = ("accuracy", "macro_f1", "average_precision")
SUBJECT_SD, SEED_SD, SEED_SKILL_SD, NOISE_SD, SKILL = 1.0, 0.25, 0.25, 0.8, 2.2
PREVALENCE = 2 / 3


@dataclass(frozen=True)
class Arm:
    """Scores (S, N) above 0 for class 1, and the labels (N,)."""

    labels_N: Ints
    scores_SN: Floats


def draw(rng: np.random.Generator, arms: int, seeds: int, subjects: int) -> list[Arm]:
    """Arms that differ in nothing but chance, judged on the same subjects."""
    labels = (rng.random(subjects) < PREVALENCE).astype(np.int64)
    hard = rng.normal(0, SUBJECT_SD, subjects)
    out = []
    for _ in range(arms):
        level = rng.normal(0, SEED_SD, (seeds, 1))
        skill = SKILL + rng.normal(0, SEED_SKILL_SD, (seeds, 1))
        noise = rng.normal(0, NOISE_SD, (seeds, subjects))
        out.append(Arm(labels, skill * (labels - 0.5) + hard + level + noise))
    return out


def values(arm: Arm) -> dict[str, Floats]:
    """Each metric at each seed."""
    counts = count(arm.labels_N, arm.scores_SN >= 0, 2)
    out = {name: METRICS[name](counts) for name in NAMES[:2]}
    out["average_precision"] = np.array([average_precision(arm.labels_N == 1, s)[0] for s in arm.scores_SN])
    return out


def replicates(arm: Arm, draws: Draws) -> dict[str, Floats]:
    """Each metric at each seed for each replicate's subjects."""
    out = replicate(arm.labels_N, (arm.scores_SN >= 0).astype(np.int64), 2, draws, list(NAMES[:2]))
    return out | replicate_ranking(arm.labels_N == 1, arm.scores_SN, draws, ["average_precision"])


def simulate(studies: int, seeds: int = 5, subjects: int = 172, bootstrap: int = 1000) -> dict[str, dict[str, float]]:
    """Coverage and error rates by metric, over that many studies of four equal arms."""
    rng = np.random.default_rng(2026)
    truth = {k: float(np.mean(v)) for k, v in values(draw(rng, 1, 400, 20_000)[0]).items()}
    kinds = ("coverage", "coverage_seeds", "dagger", "bootstrap_only", "welch_only")
    hits = {name: dict.fromkeys(kinds, 0) for name in NAMES}
    for study in range(studies):
        arms = draw(rng, 4, seeds, subjects)
        draws = Draws(subjects, bootstrap, seed=study)
        measured = [values(a) for a in arms]
        drawn = [replicates(a, draws) for a in arms]
        for name in NAMES:
            interval = percentile_interval(average_seeds(drawn[0][name], draws.seeds(seeds)))
            fixed = seed_interval(measured[0][name])
            hits[name]["coverage"] += interval.low <= truth[name] <= interval.high
            hits[name]["coverage_seeds"] += fixed.low <= truth[name] <= fixed.high
            made = [
                Replicated(seeds=tuple(range(seeds)), values_S=v[name], replicates_BS=d[name])
                for v, d in zip(measured, drawn, strict=True)
            ]
            found = [compare(a, made[0], draws) for a in made[1:]]
            adjusted = holm([d.p for d in found])
            welch = np.array([d.welch_p for d in found])
            hits[name]["dagger"] += bool(daggers(adjusted, welch).any())
            hits[name]["bootstrap_only"] += bool((adjusted < ALPHA).any())
            hits[name]["welch_only"] += bool((welch < ALPHA).any())
    return {name: {k: v / studies for k, v in h.items()} for name, h in hits.items()}


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--subjects", type=int, default=172)
    options = parser.parse_args()
    found = simulate(options.studies, options.seeds, options.subjects)
    print("| Metric | Coverage, two-way | Coverage, t over seeds | Dagger | Bootstrap + Holm alone | Welch alone |")
    print("| :-- | --: | --: | --: | --: | --: |")
    for name, h in found.items():
        cells = (h[k] for k in ("coverage", "coverage_seeds", "dagger", "bootstrap_only", "welch_only"))
        print(f"| {name.replace('_', ' ')} | {' | '.join(f'{100 * c:.1f}%' for c in cells)} |")


if __name__ == "__main__":
    main()
