"""Rows of the `predictions` record as arrays, and per-subject probabilities computed from them.

Axes: R rows, T trials, N subjects, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.probabilities import average_by_group, softmax


@dataclass(frozen=True, kw_only=True)
class PredictionRows:
    """Rows of one part, one network per trial, for the trials of one task.

    Attributes:
        trial_ids: Trial ids in the requested order; T.
        subjects: Subject ids in the rows; N.
        clips: Clip and window ids in the rows.
        trial_R: Index into `trial_ids`.
        subject_R: Index into `subjects`.
        clip_R: Index into `clips`.
        label_R: Class index.
        epoch_R: Epoch of the weights.
        classes_R: Number of logits.
        logits_UK: Logits of the U usable rows, which have one logit per class.
        n_classes: K.
    """

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    clips: tuple[str, ...]
    trial_R: Ints
    subject_R: Ints
    clip_R: Ints
    label_R: Ints
    epoch_R: Ints
    classes_R: Ints
    logits_UK: Floats
    n_classes: int

    @classmethod
    def of(cls, table: pa.Table, trial_ids: Sequence[str], n_classes: int) -> PredictionRows:
        """The rows of the given trials.

        Args:
            table: Columns trial_id, subject_id, clip_id, epoch, label and logits of the `predictions` schema.
            trial_ids: Trials of one task, in the requested order.
            n_classes: K.
        """
        position = {t: i for i, t in enumerate(trial_ids)}
        codes, names = text_codes(table["trial_id"])
        trial_R = np.array([position.get(t, -1) for t in names], dtype=np.int64)[codes] if names else codes
        mine = trial_R >= 0
        if not mine.all():
            table = table.filter(pa.array(mine))
            trial_R = trial_R[mine]
        subject_R, subjects = text_codes(table["subject_id"])
        clip_R, clips = text_codes(table["clip_id"])
        logits = table["logits"].combine_chunks()
        classes_R = pc.list_value_length(logits).to_numpy(zero_copy_only=False).astype(np.int64)
        flat = logits.filter(pa.array(classes_R == n_classes)).flatten().to_numpy(zero_copy_only=False)
        return cls(
            trial_ids=tuple(trial_ids),
            subjects=tuple(subjects),
            clips=tuple(clips),
            trial_R=trial_R,
            subject_R=subject_R,
            clip_R=clip_R,
            label_R=_integers(table["label"]),
            epoch_R=_integers(table["epoch"]),
            classes_R=classes_R,
            logits_UK=flat.reshape(-1, n_classes),
            n_classes=n_classes,
        )


@dataclass(frozen=True, slots=True)
class TrialPredictions:
    """Per-subject probabilities of the trials of one task: (T, N, K), NaN if there is no prediction for a subject."""

    trial_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    labels_N: Ints
    probs_TNK: Floats


def subject_probabilities(rows: PredictionRows, bad: Mapping[str, str]) -> TrialPredictions:
    """Average the window probabilities of each subject, for the valid trials.

    Args:
        rows: Rows of one part.
        bad: The rule that each invalid trial violates, by trial id; these trials are excluded.

    Returns:
        The predictions for the subjects evaluated in at least one valid trial, sorted by subject id.
    """
    good_T = np.array([t not in bad for t in rows.trial_ids], dtype=bool)
    kept = tuple(t for t in rows.trial_ids if t not in bad)
    n = len(rows.subjects)
    usable = np.flatnonzero(rows.classes_R == rows.n_classes)
    keep = good_T[rows.trial_R[usable]]
    chosen = usable[keep]
    new_index_T = np.cumsum(good_T) - 1
    group = new_index_T[rows.trial_R[chosen]] * n + rows.subject_R[chosen]
    probs, _ = average_by_group(softmax(rows.logits_UK[keep]), group, len(kept) * n)
    probs_TNK = probs.reshape(len(kept), n, rows.n_classes)
    labels_N = np.full(n, -1, dtype=np.int64)
    labels_N[rows.subject_R[chosen]] = rows.label_R[chosen]  # equal in all valid trials
    seen = np.asarray(np.isfinite(probs_TNK[:, :, 0]).any(axis=0))
    by_name = np.argsort(np.array(rows.subjects, dtype=str), kind="stable")
    by_name = by_name[seen[by_name]]
    subjects = tuple(rows.subjects[i] for i in by_name)
    return TrialPredictions(kept, subjects, labels_N[by_name], probs_TNK[:, by_name])


def text_codes(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Integer codes of a text column, and the text of each code."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if column.num_chunks == 0:
        return np.empty(0, dtype=np.int64), []
    codes = np.concatenate([c.indices.to_numpy(zero_copy_only=False) for c in column.chunks]).astype(np.int64)
    texts = column.chunk(0).dictionary.to_pylist()
    occurs = np.bincount(codes, minlength=len(texts)) > 0  # a dictionary may contain values that no row uses
    return (np.cumsum(occurs) - 1)[codes], [t for t, o in zip(texts, occurs, strict=True) if o]


def _integers(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.int64)
