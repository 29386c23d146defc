"""Scores of an arm's trials, computed from their recorded predictions."""

from __future__ import annotations

from collections.abc import Sequence

from agrm_study.records.reader import Ledger
from agrm_study.statistics.part_scores import PartScores


def read_scores(ledger: Ledger, part: str, network: str, trial_ids: Sequence[str]) -> dict[str, PartScores]:
    """Scores on one part by trial id; trials without predictions for the part are omitted.

    Args:
        ledger: The records.
        part: ``val`` or ``test``.
        network: The reported network; the student is used if the best epoch precedes the start of the teacher.
        trial_ids: Ids of the trials.
    """
    predictions = ledger.predictions(part, trial_ids=list(trial_ids))
    return {str(key): PartScores.of_predictions(rows, network) for key, rows in predictions.groupby("trial_id")}
