"""Recomputation of a finished trial's lost predictions from its saved weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agrm_study.execution.trial.records import prediction_blocks
from agrm_study.execution.trial.runner import TrialRunner
from agrm_study.execution.trial.work import Work
from agrm_study.records.digests import block_digests, read_blocks
from agrm_study.records.location import Location
from agrm_study.records.patience import retry_storage
from agrm_study.records.reader import Ledger
from agrm_study.records.validation_scores import read_scores
from agrm_study.records.writer import predictions_table, put_record
from agrm_study.study.reported import reported_network
from agrm_study.training.failures import CheckpointError

DONE: Final = "predictions recomputed from its saved weights, without training"


class InexactError(Exception):
    """The predictions cannot be reproduced exactly: the trial must be retrained."""


def predict_again(
    results: Location, work: Work, runner: TrialRunner, metric: str, check: Callable[[], None]
) -> dict[str, Any]:
    """Writes the predictions of a finished trial, after verifying that they match its `trials` record.

    Args:
        runner: The trial's runner, already started.
        metric: Validation metric reported in events.
        check: Called before the record is written; may raise.

    Returns:
        The fields of the trial's ``finished`` event.

    Raises:
        InexactError: If the weights or predictions differ from the record.
        OSError: If storage rejects the write.
    """
    trial_id, network = work.trial.trial_id, reported_network(work.trial.recipe)
    ledger = Ledger(results)
    rows: list[dict[str, Any]] = retry_storage(lambda: ledger.table_of("trials", [trial_id]).to_pylist())
    if not rows or rows[0]["status"] != "finished":
        raise InexactError("its trials record is missing")
    row, best_epoch = rows[0], int(rows[0]["best_epoch"])
    try:
        blocks = prediction_blocks(runner.predict(best_epoch), work.trial.phase)
    except CheckpointError as error:
        raise InexactError(str(error)) from error
    if not blocks:
        raise InexactError("its trainer cannot predict from saved weights")
    table = predictions_table(trial_id, blocks)
    if block_digests(table).get(trial_id) != read_blocks(row["predictions_digest"]):
        raise InexactError("the predictions of its saved weights differ from the recorded predictions")
    check()
    put_record(results / "records", "predictions", trial_id, table)
    scores = retry_storage(lambda: read_scores(ledger, {trial_id: best_epoch}, [metric], lambda name: network))
    value = scores[trial_id].values[0] if trial_id in scores else None
    return {
        "epoch": row["epochs"],
        "metric": value if value == value else None,
        "wall_s": row["wall_s"] or 0.0,
        "stop_reason": row["stop_reason"],
        "best_epoch": best_epoch,
        "message": DONE,
    }
