"""Predictions of the replicates of one arm on one task, for each subject.

Axes: S seeds, N subjects, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from agrm_study.statistics.arrays import Bools, Floats, Ints
from agrm_study.statistics.classification import METRICS, SCREENING, Counts, count
from agrm_study.statistics.comparison import Replicate, Scored
from agrm_study.statistics.probabilities import decide
from agrm_study.statistics.ranking import RANKING, at_each_seed
from agrm_study.study.spec import has_metric
from agrm_study.study.tasks import Task

_OF_COUNTS = METRICS | SCREENING


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Predictions of one arm on one task, one row per seed.

    With folds, a row pools the folds of one seed and repeat, so that it contains every tested subject once. On the
    training and validation parts, where folds share subjects, a row represents one fold, and `pooled_S` contains the
    corresponding rows of the test part.

    Attributes:
        definition: The task, with its classes.
        seeds: Training seeds, S; pairs (seed, repeat) with repeated folds, and pairs (row, fold) with separate folds.
        planned: Number of rows that the study requests.
        trial_ids: Trial ids of each row.
        subjects: Subject ids, N; the same for all cells of a task.
        labels_N: Class index of each subject.
        probs_SNK: Probabilities averaged over the windows of a subject; NaN if the subject was not evaluated for a
            seed.
        network: ``student`` or ``teacher``.
        versions: Distinct versions of code, data and split in the records, each as a tuple.
        refused: Reason why the cell is excluded, or None.
        fold_SN: Fold in which each subject was tested, numbered consecutively over the repeats, −1 if absent; None for
            a single split.
        pooled_S: Row of the test part that corresponds to each row; None unless folds are separate.
    """

    arm: str
    task: str
    definition: Task
    seeds: tuple[Replicate, ...]
    planned: int
    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels_N: Ints
    probs_SNK: Floats
    network: str
    versions: Mapping[str, tuple[str, ...]]
    refused: str | None = None
    fold_SN: Ints | None = None
    pooled_S: tuple[Replicate, ...] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, K."""
        return self.definition.classes

    @cached_property
    def predicted_SN(self) -> Ints:
        """Predicted class for each seed and subject, −1 if absent."""
        return decide(self.probs_SNK)

    @cached_property
    def counts(self) -> Counts:
        """Numbers of correct, predicted and true subjects per class, each of shape (S, K)."""
        return count(self.labels_N, self.predicted_SN, len(self.classes))

    @cached_property
    def n_subjects(self) -> int:
        """Number of subjects evaluated for at least one seed."""
        return int((~np.isnan(self.probs_SNK).any(axis=2)).any(axis=0).sum())

    @cached_property
    def tested(self) -> frozenset[str]:
        """Subjects evaluated for at least one seed."""
        seen = np.asarray((~np.isnan(self.probs_SNK).any(axis=2)).any(axis=0))
        return frozenset(s for s, here in zip(self.subjects, seen, strict=True) if here)

    @property
    def row_of_trial(self) -> dict[str, Replicate]:
        """Row of each trial, by trial id."""
        each = len(self.trial_ids) // len(self.seeds)
        return {trial: self.seeds[i // each] for i, trial in enumerate(self.trial_ids)}

    @property
    def complete(self) -> bool:
        """Whether every planned seed is present."""
        return len(self.seeds) == self.planned

    @property
    def marks(self) -> tuple[str, ...]:
        """Superscript marks for the numbers of this cell: k/n if only k of n planned seeds are present."""
        return () if self.complete else (f"{len(self.seeds)}/{self.planned}",)

    def values(self, metric: str) -> Floats:
        """Metric over all subjects for each seed, (S,); NaN if undefined.

        Raises:
            KeyError: If the metric does not exist.
        """
        if not has_metric(self.definition, metric):
            return np.full(len(self.seeds), np.nan)
        if metric in RANKING:
            return at_each_seed(RANKING[metric], self.labels_N == 1, self.probs_SNK[:, :, 1])
        return _OF_COUNTS[metric](self.counts)

    def scored(self, values_S: Floats, influence_SN: Floats) -> Scored:
        """A metric of the cell with the influence of each subject.

        Folds that are not pooled are averaged by row. Since folds share subjects, influence is omitted and there is no
        interval.
        """
        if self.pooled_S is None:
            return Scored(seeds=self.seeds, values_S=values_S, influence_SN=influence_SN, fold_SN=self.fold_SN)
        rows = tuple(dict.fromkeys(self.pooled_S))
        means = [values_S[[row == mine for mine in self.pooled_S]].mean() for row in rows]
        return Scored(seeds=rows, values_S=np.array(means), influence_SN=np.empty((len(rows), 0)))

    def restricted(self, keep_N: Bools) -> Cell:
        """The cell restricted to a subset of its subjects."""
        return replace(
            self,
            subjects=tuple(s for s, keep in zip(self.subjects, keep_N, strict=True) if keep),
            labels_N=self.labels_N[keep_N],
            probs_SNK=self.probs_SNK[:, keep_N],
            fold_SN=None if self.fold_SN is None else self.fold_SN[:, keep_N],
        )

    def without(self, reason: str) -> Cell:
        """A copy of the cell, marked as excluded for the given reason."""
        return replace(self, refused=reason)
