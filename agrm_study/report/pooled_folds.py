"""Pooling of folds: test predictions of all folds of one seed and repeat are combined into one set of subjects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agrm_study.report.cells import Cell
from agrm_study.report.study_info import Planned
from agrm_study.report.wording import listing
from agrm_study.statistics.arrays import Floats, Ints
from agrm_study.statistics.comparison import Replicate
from agrm_study.study.splits import Splits


def row_of(p: Planned, splits: Splits | None) -> Replicate:
    """The row of a trial in its cell: its seed, or seed and repeat if the folds are repeated."""
    return p.seed if splits is None or splits.repeats == 1 else (p.seed, p.repeat)


def rows_of(trials: Sequence[Planned], splits: Splits) -> dict[Replicate, list[Planned]]:
    """The trials of each row, by fold."""
    rows: dict[Replicate, list[Planned]] = {}
    for p in sorted(trials, key=lambda p: p.fold or 0):
        rows.setdefault(row_of(p, splits), []).append(p)
    return {row: rows[row] for row in dict.fromkeys(row_of(p, splits) for p in trials)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """The complete rows of a cell.

    Attributes:
        rows: Trials of each complete row, by fold.
        incomplete: For each incomplete row, the number of its folds that are finished and usable.
    """

    rows: Mapping[Replicate, tuple[Planned, ...]]
    incomplete: Mapping[Replicate, int]


def pool(trials: Sequence[Planned], splits: Splits) -> Pooled:
    """The rows of the usable trials of one arm on one task; rows with missing folds are not pooled."""
    rows = rows_of(trials, splits)
    whole = {row: tuple(found) for row, found in rows.items() if len({p.fold for p in found}) == splits.folds}
    return Pooled(rows=whole, incomplete={row: len(found) for row, found in rows.items() if row not in whole})


def incomplete_rule(incomplete: Mapping[Replicate, int], splits: Splits) -> str:
    """Note on the rows that are omitted because a fold is missing."""
    said = [f"{row_words(row)}: {n} of {splits.folds} folds" for row, n in incomplete.items()]
    return f"a seed is not pooled unless all its folds are finished and usable ({listing(said)})"


def row_words(row: Replicate) -> str:
    """Description of a row."""
    return f"seed {row[0]}, repeat {row[1]}" if isinstance(row, tuple) else f"seed {row}"


def pooled_probabilities(
    probs_TNK: Floats, rows: Sequence[Sequence[int]], repeats: Sequence[int]
) -> tuple[Floats, Ints]:
    """Probabilities (S, N, K) of pooled rows, and the fold (S, N) in which each subject was tested, numbered over all
    repeats.

    Args:
        probs_TNK: Probabilities of each trial, NaN if the subject was not tested in the trial.
        rows: Trials of each row, by fold.
        repeats: Repeat of each row.

    Raises:
        ValueError: If a subject was tested in two folds of a row; the message states the number of such subjects.
    """
    n, k = probs_TNK.shape[1:]
    probs = np.full((len(rows), n, k), np.nan)
    fold = np.full((len(rows), n), -1, dtype=np.int64)
    for s, (trials, repeat) in enumerate(zip(rows, repeats, strict=True)):
        for number, t in enumerate(trials):
            here = ~np.isnan(probs_TNK[t]).any(axis=1)
            if (again := int((fold[s][here] >= 0).sum())) > 0:
                raise ValueError(f"{again} subjects are tested in two folds of one seed")
            probs[s, here] = probs_TNK[t, here]
            fold[s, here] = repeat * len(trials) + number
    return probs, fold


def fitted_on_validation(
    cell: Cell, validation: Cell | None, fit: Callable[[Floats, Ints], float | None]
) -> Floats | None:
    """One value per training run, fitted on its validation subjects: one per row (S, 1), or per row and fold (S, F).

    Args:
        cell: Cell of the test part, or of an external set.
        validation: Cell of the validation part.
        fit: Function that computes the value from the probabilities (N, K) and class indices (N,) of the subjects of
            one training run.

    Returns:
        The values; None if a training run has no validation predictions, or a fit does not exist.
    """
    if validation is None:
        return None
    keys: list[list[Replicate]] = [[seed] for seed in cell.seeds]
    if cell.fold_SN is not None:
        folds = len(cell.trial_ids) // len(cell.seeds)
        keys = [[(seed, fold) for fold in range(folds)] for seed in cell.seeds]
    if not {key for row in keys for key in row} <= set(validation.seeds):
        return None
    found = []
    for key in (key for row in keys for key in row):
        probs = validation.probs_SNK[validation.seeds.index(key)]
        here = ~np.isnan(probs).any(axis=1)
        value = fit(probs[here], validation.labels_N[here])
        if value is None:
            return None
        found.append(value)
    return np.array(found).reshape(len(keys), -1)


def over_subjects(cell: Cell, values_SF: Floats) -> Floats:
    """One value per training run (rows × folds, or × 1), assigned to the subjects tested in that run: (S, N)."""
    if cell.fold_SN is None:
        return np.broadcast_to(values_SF[:, :1], cell.probs_SNK.shape[:2])
    at = np.where(cell.fold_SN >= 0, cell.fold_SN % values_SF.shape[1], 0)
    return np.take_along_axis(values_SF, at, axis=1)
