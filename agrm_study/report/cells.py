"""What did the replicates of one arm on one task say about each subject?

Axes: S seeds, N subjects, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agrm_study.statistics.arrays import Bools, Floats, Ints
from agrm_study.statistics.bootstrap import RANKING
from agrm_study.statistics.classification import METRICS, SCREENING, Counts, count
from agrm_study.statistics.probabilities import average_by_group, decide, softmax

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


@dataclass(frozen=True, slots=True)
class TrialPredictions:
    """Per-subject probabilities of many trials of one task: (T, N, K), NaN where a trial did not evaluate a subject."""

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels_N: Ints
    probs_TNK: Floats
    bad: Mapping[str, str]


def subject_probabilities(table: pa.Table, trial_ids: Sequence[str], n_classes: int) -> TrialPredictions:
    """Averages the window probabilities of each subject, for the trials named, and collects what is wrong.

    Args:
        table: Rows of the `predictions` schema of one part, one network a trial.
        trial_ids: Trials of one task, in the order wanted.
        n_classes: K.

    Returns:
        The probabilities of the trials without a fault; ``bad`` names the rule each other trial breaks.
    """
    position = {t: i for i, t in enumerate(trial_ids)}
    codes = _codes(table["trial_id"])
    trial_R = np.array([position.get(t, -1) for t in codes[1]], dtype=np.int64)[codes[0]] if codes[1] else codes[0]
    mine = trial_R >= 0
    bad = dict.fromkeys(trial_ids, "has no predictions")
    if not mine.all():
        table = table.filter(pa.array(mine))
        trial_R = trial_R[mine]
    for i in np.unique(trial_R):
        bad.pop(trial_ids[i])
    if not trial_R.size:
        return TrialPredictions((), (), np.empty(0, np.int64), np.empty((0, 0, n_classes)), bad)

    def refuse(rows: Bools | Ints, rule: str) -> None:
        for i in np.unique(trial_R[rows]):
            bad.setdefault(trial_ids[i], rule)

    logits = table["logits"].combine_chunks()
    lengths = pc.list_value_length(logits).to_numpy(zero_copy_only=False)
    refuse(lengths != n_classes, f"every logits list must have {n_classes} values, one a class")
    subject_R, subjects = _codes(table["subject_id"])
    clip_R, clips = _codes(table["clip_id"])
    label_R = table["label"].combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
    refuse((label_R < 0) | (label_R >= n_classes), f"label must be a class index below {n_classes}")
    key = trial_R * max(len(clips), 1) + clip_R
    order = np.argsort(key, kind="stable")
    again = np.zeros(key.size, dtype=bool)
    again[order[1:]] = key[order[1:]] == key[order[:-1]]
    refuse(again, "each clip must be predicted once (duplicated predictions)")
    labels_N = np.full(len(subjects), -1, dtype=np.int64)
    labels_N[subject_R[::-1]] = label_R[::-1]
    refuse(labels_N[subject_R] != label_R, "a subject must have one label in all records of a task")

    usable = lengths == n_classes
    flat = logits.filter(pa.array(usable)).flatten().to_numpy(zero_copy_only=False).reshape(-1, n_classes)
    finite = np.isfinite(flat).all(axis=1)
    rows = np.flatnonzero(usable)
    refuse(rows[~finite], "logits must be finite numbers")
    good = np.array([t not in bad for t in trial_ids], dtype=bool)
    keep = good[trial_R[rows]]
    rows, flat = rows[keep], flat[keep]
    kept = [t for t in trial_ids if t not in bad]
    new_index = np.cumsum(good) - 1
    n = len(subjects)
    probs, _ = average_by_group(softmax(flat), new_index[trial_R[rows]] * n + subject_R[rows], len(kept) * n)
    probs_TNK = probs.reshape(len(kept), n, n_classes)
    seen = np.asarray(np.isfinite(probs_TNK[:, :, 0]).any(axis=0))
    by_name = np.argsort(np.array(subjects, dtype=str), kind="stable")
    by_name = by_name[seen[by_name]]
    return TrialPredictions(
        tuple(kept), tuple(subjects[i] for i in by_name), labels_N[by_name], probs_TNK[:, by_name], bad
    )


def _codes(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Integer codes of a text column and the texts they stand for."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if column.num_chunks == 0:
        return np.empty(0, dtype=np.int64), []
    codes = np.concatenate([c.indices.to_numpy(zero_copy_only=False) for c in column.chunks]).astype(np.int64)
    texts = column.chunk(0).dictionary.to_pylist()
    occurs = np.bincount(codes, minlength=len(texts)) > 0  # a dictionary may name what its rows do not
    return (np.cumsum(occurs) - 1)[codes], [t for t, o in zip(texts, occurs, strict=True) if o]
