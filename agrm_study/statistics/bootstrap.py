"""How uncertain is a seed-averaged metric when both the seeds and the subjects could have been others?

The two-way percentile bootstrap: seeds and subjects are drawn with replacement, independently of each other; a
replicate is the metric of each drawn seed on the drawn subjects, averaged over the drawn seeds. Draws are weights
(multinomial counts), so that every arm of a comparison can be given the same ones.

Axes: B replicates, S seeds, N subjects, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.classification import METRICS, SCREENING, one_hot_columns, split_counts
from agrm_study.statistics.estimators import UNDEFINED, Interval
from agrm_study.statistics.probabilities import TIE
from agrm_study.statistics.ranking import average_precision, roc_auc

REPLICATES = 10_000
_KEPT = 10_000_000
"""Weights kept in memory between arms (40 MB); larger draws are drawn again for each."""
_CHUNK = 500
"""Replicates drawn at a time. Part of the random stream: another value would give other draws."""

RANKING: dict[str, Callable[[ArrayLike, ArrayLike, ArrayLike | None], Floats]] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
}
"""Metrics of two-class scores, by name."""


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of one bootstrap; equal arguments give equal draws.

    Args:
        n_subjects: N.
        replicates: B.
        seed: Seed of the draws.
    """

    n_subjects: int
    replicates: int = REPLICATES
    seed: int = 0

    def subjects(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Chunks of replicates: their positions and how often each subject is drawn, (b, N), rows summing to N."""
        if self.n_subjects * self.replicates <= _KEPT:
            yield from _kept(self)
        else:
            yield from self._drawn()

    def _drawn(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        n = self.n_subjects
        for chunk, start in enumerate(range(0, self.replicates, _CHUNK)):
            rng = np.random.default_rng([self.seed, 1, chunk])
            rows = min(_CHUNK, self.replicates - start)
            drawn = rng.integers(0, n, size=(_CHUNK, n))[:rows] + np.arange(rows)[:, None] * n
            yield (
                slice(start, start + rows),
                np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float32),
            )

    def seeds(self, n_seeds: int, stream: int = 0) -> Floats:
        """Weight of each seed, (B, S), rows summing to 1; arms whose seeds are not paired take another stream."""
        return _seed_weights(self.replicates, self.seed, n_seeds, stream)


@lru_cache(maxsize=16)
def _seed_weights(replicates: int, seed: int, n_seeds: int, stream: int) -> Floats:
    rng = np.random.default_rng([seed, 2, stream, n_seeds])
    first = np.arange(replicates)[:, None] * n_seeds
    drawn = rng.integers(0, n_seeds, size=(replicates, n_seeds)) + first
    counts = np.bincount(drawn.ravel(), minlength=replicates * n_seeds).reshape(replicates, n_seeds)
    weights = np.asfortranarray(counts / n_seeds)
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=2)
def _kept(draws: Draws) -> tuple[tuple[slice, NDArray[np.float32]], ...]:
    chunks = tuple(draws._drawn())
    for _, weights in chunks:
        weights.setflags(write=False)
    return chunks


def replicate(
    labels_N: ArrayLike, predicted_SN: ArrayLike, n_classes: int, draws: Draws, metrics: Sequence[str]
) -> dict[str, Floats]:
    """Metrics of decisions for every replicate's subjects and every seed, (B, S) each, NaN where undefined.

    Args:
        labels_N: Class index of each subject.
        predicted_SN: Decided class, −1 where a seed did not evaluate a subject.
        n_classes: K.
        draws: Shared by all arms that are compared.
        metrics: Names of `classification.METRICS`, and of `SCREENING` with two classes.
    """
    predicted = np.atleast_2d(np.asarray(predicted_SN))
    columns_CN = np.ascontiguousarray(one_hot_columns(labels_N, predicted, n_classes).T, dtype=np.float32)
    functions = METRICS | SCREENING
    out = {name: np.empty((draws.replicates, predicted.shape[0]), order="F") for name in metrics}
    for rows, weights in draws.subjects():
        counts = split_counts((columns_CN @ weights.T).T, n_classes)
        for name in metrics:
            out[name][rows] = functions[name](counts)
    return out


def replicate_ranking(
    positive_N: ArrayLike, scores_SN: ArrayLike, draws: Draws, metrics: Sequence[str]
) -> dict[str, Floats]:
    """Metrics of two-class scores for every replicate's subjects and every seed, (B, S) each; NaN scores are absent."""
    positive = np.asarray(positive_N, dtype=bool)
    scores = np.atleast_2d(np.asarray(scores_SN, dtype=np.float64))
    out = {name: np.empty((draws.replicates, scores.shape[0])) for name in metrics}
    for rows, weights in draws.subjects():
        for s, score in enumerate(scores):
            here = ~np.isnan(score)
            for name in metrics:
                out[name][rows, s] = RANKING[name](positive[here], score[here], weights[:, here])
    return out


def average_seeds(per_seed_BS: Floats, weights_BS: Floats) -> Floats:
    """Seed average of each replicate, (B,); NaN when a drawn seed's metric is undefined."""
    total: Floats = np.where(weights_BS > 0, per_seed_BS * weights_BS, 0.0).sum(axis=1)
    return total


def undefined(replicates_B: ArrayLike) -> int:
    """Number of replicates in which the metric is undefined."""
    return int(np.isnan(np.asarray(replicates_B, dtype=np.float64)).sum())


def percentile_interval(replicates_B: ArrayLike, level: float = 0.95) -> Interval:
    """Percentile interval over the defined replicates; undefined when none is."""
    x = np.asarray(replicates_B, dtype=np.float64)
    x = x[~np.isnan(x)]
    if x.size == 0:
        return UNDEFINED
    low, high = np.quantile(x, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high), level)


def p_value(differences_B: ArrayLike) -> float:
    """Two-sided bootstrap p of a difference of 0: 2·(1 + min(#Δ*≤0, #Δ*≥0))/(B + 1), at most 1.

    A difference within `TIE` of 0 counts in both tails. The +1 counts the observed data as one of the draws (Davison &
    Hinkley 1997). NaN when no replicate is defined.
    """
    x = np.asarray(differences_B, dtype=np.float64)
    x = x[~np.isnan(x)]
    if x.size == 0:
        return float("nan")
    tail: int = min(int((x <= TIE).sum()), int((x >= -TIE).sum()))
    return min(1.0, 2 * (1 + tail) / (x.size + 1))
