"""Predictions of the replicates of one arm on one task, for each subject.

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
from agrm_study.statistics.ranking import RANKING, at_each_seed
from agrm_study.study.spec import has_metric
from agrm_study.study.tasks import Task

_OF_COUNTS = METRICS | SCREENING


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Predictions of one arm on one task, one row per seed.

    Attributes:
        definition: The task, with its classes.
        seeds: Training seeds, S.
        planned: Number of seeds that the study requests.
        trial_ids: Trial ids, one per seed.
        subjects: Subject ids, N; equal for all cells of a task.
        labels_N: Class index of each subject.
        probs_SNK: Probabilities averaged over the windows of a subject; NaN where a seed did not evaluate it.
        network: ``student`` or ``teacher``.
        versions: Distinct versions of code, data and split in the records, each as a tuple.
        refused: Reason for which the cell is excluded, or None.
    """

    arm: str
    task: str
    definition: Task
    seeds: tuple[int, ...]
    planned: int
    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels_N: Ints
    probs_SNK: Floats
    network: str
    versions: Mapping[str, tuple[str, ...]]
    refused: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, K."""
        return self.definition.classes

    @cached_property
    def predicted_SN(self) -> Ints:
        """Predicted class for each seed and subject, −1 where absent."""
        return decide(self.probs_SNK)

    @cached_property
    def counts(self) -> Counts:
        """Correct, predicted and true subjects by class, (S, K) each."""
        return count(self.labels_N, self.predicted_SN, len(self.classes))

    @cached_property
    def n_subjects(self) -> int:
        """Number of subjects that at least one seed evaluated."""
        return int((~np.isnan(self.probs_SNK).any(axis=2)).any(axis=0).sum())

    @cached_property
    def tested(self) -> frozenset[str]:
        """Subjects that at least one seed evaluated."""
        seen = np.asarray((~np.isnan(self.probs_SNK).any(axis=2)).any(axis=0))
        return frozenset(s for s, here in zip(self.subjects, seen, strict=True) if here)

    @property
    def complete(self) -> bool:
        """Whether every planned seed is present."""
        return len(self.seeds) == self.planned

    @property
    def marks(self) -> tuple[str, ...]:
        """Superscript marks for the numbers of this cell: k/n when only k of n planned seeds are present."""
        return () if self.complete else (f"{len(self.seeds)}/{self.planned}",)

    def values(self, metric: str) -> Floats:
        """Metric at each seed (S,), on all subjects; NaN where undefined.

        Raises:
            KeyError: If the metric does not exist.
        """
        if not has_metric(self.definition, metric):
            return np.full(len(self.seeds), np.nan)
        if metric in RANKING:
            return at_each_seed(RANKING[metric], self.labels_N == 1, self.probs_SNK[:, :, 1])
        return _OF_COUNTS[metric](self.counts)

    def without(self, reason: str) -> Cell:
        """A copy of the cell, excluded for a reason."""
        return replace(self, refused=reason)
