"""Checks of the predictions of one part for consistency with the split's subjects, the trials, and each other.

Axes: R rows, T trials, N subjects, C clips and windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from agrm_study.report.checks.people import People
from agrm_study.report.predictions import PredictionRows
from agrm_study.statistics.arrays import Bools, Ints
from agrm_study.study.counted import some
from agrm_study.study.tasks import Task

ABSENT: Final = -1
"""Placeholder for a class index: the subject is not in the part."""
UNSETTLED: Final = -2
"""Placeholder for a class index: the trials are tied between classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Expected properties of a trial whose predictions are checked, from its records.

    Attributes:
        split: Fingerprint of its split.
        best_epoch: The epoch whose networks were evaluated.
        windows: Key shared by trials that evaluate the same windows of each subject.
    """

    split: str
    best_epoch: int
    windows: str


def check_predictions(
    rows: PredictionRows,
    task: Task,
    part: str,
    expected: Mapping[str, Expected],
    people: People,
    damaged: Mapping[str, str],
) -> dict[str, str]:
    """The rule that each invalid trial violates, by trial id; one rule per trial.

    Args:
        rows: Prediction rows of the part.
        task: Task of the trials.
        part: ``train``, ``val`` or ``test``.
        expected: Expected properties of each trial in the rows.
        people: Subjects in each part of each split.
        damaged: Trials whose rows do not match their digests, with the reason.
    """
    bad = dict(damaged)

    def refuse(broken: Bools | Ints, rule: str) -> None:
        for i in np.unique(rows.trial_R[broken]):
            bad.setdefault(rows.trial_ids[i], rule)

    present = np.bincount(rows.trial_R, minlength=len(rows.trial_ids)) > 0
    for trial_id, here in zip(rows.trial_ids, present, strict=True):
        if not here:
            bad[trial_id] = f"has no predictions for the {part} part"
    k = rows.n_classes
    refuse(rows.classes_R != k, f"every logits list must have {k} values, one per class")
    refuse((rows.label_R < 0) | (rows.label_R >= k), f"label must be a class index below {k}")
    refuse(_again(rows), "each clip must be predicted once (duplicated predictions)")
    usable = np.flatnonzero(rows.classes_R == k)
    refuse(usable[~np.isfinite(rows.logits_UK).all(axis=1)], "logits must be finite numbers")
    best_T = np.array([expected[t].best_epoch for t in rows.trial_ids], dtype=np.int64)
    refuse(rows.epoch_R != best_T[rows.trial_R], "predictions must be from best_epoch")
    _check_subjects(rows, task, part, expected, people, bad)
    _check_windows(rows, part, expected, bad)
    return bad


def _again(rows: PredictionRows) -> Bools:
    """Mask of the rows that repeat an earlier row of the same trial and clip."""
    key = rows.trial_R * max(len(rows.clips), 1) + rows.clip_R
    order = np.argsort(key, kind="stable")
    again = np.zeros(key.size, dtype=bool)
    again[order[1:]] = key[order[1:]] == key[order[:-1]]
    return again


def _check_subjects(
    rows: PredictionRows,
    task: Task,
    part: str,
    expected: Mapping[str, Expected],
    people: People,
    bad: dict[str, str],
) -> None:
    """Check that trials predict exactly the subjects of the part, with their labels."""
    subjects = np.array(rows.subjects, dtype=object)
    for split in sorted({expected[t].split for t in rows.trial_ids}):
        mine = [i for i, t in enumerate(rows.trial_ids) if expected[t].split == split and t not in bad]
        if not mine:
            continue
        mine_T = np.zeros(len(rows.trial_ids), dtype=bool)
        mine_T[mine] = True
        here = np.flatnonzero(mine_T[rows.trial_R])
        named = people.labels.get((split, part))
        if named is None and split not in people.splits:
            wanted, source = _majority(rows, here, len(mine)), "most trials"
        else:
            wanted, source = _indices(named or {}, task), "the subjects record"
        label_N = np.array([wanted.get(s, ABSENT) for s in rows.subjects], dtype=np.int64)
        in_part_N = label_N != ABSENT
        found_TN = np.zeros((len(rows.trial_ids), len(subjects)), dtype=bool)
        found_TN[rows.trial_R[here], rows.subject_R[here]] = True
        label_R = label_N[rows.subject_R[here]]
        wrong = here[(label_R != ABSENT) & (label_R != rows.label_R[here])]
        first: dict[int, str] = {}
        for row in wrong:
            first.setdefault(int(rows.trial_R[row]), str(subjects[rows.subject_R[row]]))
        for i, subject in first.items():
            bad.setdefault(rows.trial_ids[i], f"label of subject {subject} differs from its label in {source}")
        absent = len(wanted) - int(in_part_N.sum())  # subjects that no trial predicts
        for i in mine:
            strange = found_TN[i] & ~in_part_N
            if strange.any():
                names = some(sorted(subjects[strange]))
                bad.setdefault(rows.trial_ids[i], f"predicts subjects not in the {part} part of its split: {names}")
            lost = int((in_part_N & ~found_TN[i]).sum()) + absent
            if lost:
                n = len(wanted)
                rule = f"predictions lack {lost} of {n} subjects of the {part} part (N = {n - lost})"
                bad.setdefault(rows.trial_ids[i], rule)


def _indices(named: Mapping[str, str], task: Task) -> dict[str, int]:
    """Class index of each subject of a part that the task classifies."""
    return {s: index for s, label in named.items() if (index := task.class_index(label)) is not None}


def _majority(rows: PredictionRows, here: Ints, n_trials: int) -> dict[str, int]:
    """Majority class index of each subject that at least half of the trials predict."""
    votes: dict[str, Counter[int]] = {}
    triples = np.unique(np.stack([rows.subject_R[here], rows.trial_R[here], rows.label_R[here]], axis=1), axis=0)
    for subject, _, label in triples.tolist():
        votes.setdefault(rows.subjects[subject], Counter())[label] += 1
    settled = {}
    for subject_id, counted in votes.items():
        if 2 * counted.total() >= n_trials:
            (label, most), *others = counted.most_common(2)
            settled[subject_id] = label if not others or others[0][1] < most else UNSETTLED
    return settled


def _check_windows(rows: PredictionRows, part: str, expected: Mapping[str, Expected], bad: dict[str, str]) -> None:
    """Check that trials with equal window settings predict the windows that at least half of them predict."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, trial_id in enumerate(rows.trial_ids):
        if trial_id not in bad:
            groups.setdefault((expected[trial_id].split, expected[trial_id].windows), []).append(i)
    n_clips = max(len(rows.clips), 1)
    for members in groups.values():
        if len(members) < 2:
            continue
        place_T = np.full(len(rows.trial_ids), -1, dtype=np.int64)
        place_T[members] = np.arange(len(members))
        here = place_T[rows.trial_R] >= 0
        predicted_MC = np.zeros((len(members), n_clips), dtype=bool)
        predicted_MC[place_T[rows.trial_R[here]], rows.clip_R[here]] = True
        usual_C = 2 * predicted_MC.sum(axis=0) >= len(members)
        mine = predicted_MC[:, usual_C].sum(axis=1)
        extra = predicted_MC[:, ~usual_C].sum(axis=1)
        total = int(usual_C.sum())
        for place, i in enumerate(members):
            if extra[place]:
                bad[rows.trial_ids[i]] = f"predicts {extra[place]} windows of the {part} part that other trials lack"
            elif mine[place] < total:
                rule = f"predictions lack {total - mine[place]} of {total} windows of the {part} part"
                bad[rows.trial_ids[i]] = rule
