"""What did the replicates of one arm on one task say about each subject?

Axes: S seeds, N subjects, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.classification import METRICS, SCREENING, Counts, count
from agrm_study.statistics.probabilities import decide
from agrm_study.statistics.ranking import RANKING

_OF_COUNTS = METRICS | SCREENING


def has_metric(metric: str, n_classes: int) -> bool:
    """Whether a metric is defined for that many classes."""
    return metric in METRICS or (n_classes == 2 and (metric in SCREENING or metric in RANKING))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Predictions of one arm on one task, a row a seed.

    Attributes:
        classes: Class names, K.
        seeds: Training seeds, S.
        planned: How many seeds the study asks for.
        trial_ids: One a seed.
        subjects: Subject ids, N; equal for all cells of a task.
        labels_N: Class index of each subject.
        probs_SNK: Probabilities averaged over the windows of a subject; NaN where a seed did not evaluate it.
        network: ``student`` or ``teacher``.
        versions: code, data and split that the records name, each a tuple of what occurs.
        refused: Why the cell must not be shown, or None.
    """

    arm: str
    task: str
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    planned: int
    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels_N: Ints
    probs_SNK: Floats
    network: str
    versions: Mapping[str, tuple[str, ...]]
    refused: str | None = None

    @cached_property
    def predicted_SN(self) -> Ints:
        """Decided class of each seed and subject, −1 where absent."""
        return decide(self.probs_SNK)

    @cached_property
    def counts(self) -> Counts:
        """Right, predicted and true subjects by class, (S, K) each."""
        return count(self.labels_N, self.predicted_SN, len(self.classes))

    @cached_property
    def n_subjects(self) -> int:
        """Subjects that at least one seed evaluated."""
        return int((~np.isnan(self.probs_SNK).any(axis=2)).any(axis=0).sum())

    @cached_property
    def tested(self) -> frozenset[str]:
        """Subjects that at least one seed evaluated."""
        seen = np.asarray((~np.isnan(self.probs_SNK).any(axis=2)).any(axis=0))
        return frozenset(s for s, here in zip(self.subjects, seen, strict=True) if here)

    @property
    def complete(self) -> bool:
        """Whether every planned seed is there."""
        return len(self.seeds) == self.planned

    @property
    def marks(self) -> tuple[str, ...]:
        """What is raised beside a number of this cell: k/n when only k of n planned seeds are there."""
        return () if self.complete else (f"{len(self.seeds)}/{self.planned}",)

    def values(self, metric: str) -> Floats:
        """The metric at each seed (S,), on all subjects; NaN where undefined.

        Raises:
            KeyError: For a metric that does not exist.
        """
        if not has_metric(metric, len(self.classes)):
            return np.full(len(self.seeds), np.nan)
        if metric in RANKING:
            rank = RANKING[metric]
            scores = self.probs_SNK[:, :, 1]
            here = ~np.isnan(scores)
            pairs = zip(scores, here, strict=True)
            return np.array([float(rank(self.labels_N[h] == 1, s[h], None)[0]) for s, h in pairs])
        return _OF_COUNTS[metric](self.counts)

    def without(self, reason: str) -> Cell:
        """The same cell, refused."""
        return replace(self, refused=reason)
