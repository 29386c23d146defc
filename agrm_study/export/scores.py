"""How good are the trials of an arm? From their recorded predictions alone."""

from __future__ import annotations

from collections.abc import Sequence

from agrm_study.records.reader import Ledger
from agrm_study.statistics.part_scores import PartScores


def read_scores(ledger: Ledger, part: str, network: str, trial_ids: Sequence[str]) -> dict[str, PartScores]:
    """The scores of trials by id, of this network, or of the student where the best epoch had no teacher yet.

    Trials without predictions of the part are absent.
    """
    predictions = ledger.predictions(part, trial_ids=list(trial_ids))
    return {str(key): PartScores.of_predictions(rows, network) for key, rows in predictions.groupby("trial_id")}
