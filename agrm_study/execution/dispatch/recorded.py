"""Events of trials that have ended, derived from their records: a driver process may die before sending them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.repeated_failures import message_and_frame
from agrm_study.execution.trial.work import Work
from agrm_study.records.patience import retry_storage
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED
from agrm_study.records.validation_scores import Scores, read_scores
from agrm_study.study.reported import reported_network


def recorded_events(ledger: Ledger, metric: str, works: Iterable[Work], known: Mapping[str, int]) -> list[TrialEvent]:
    """Events of trials that have a record from this run; no events for other trials.

    A finished trial also yields an ``epoch`` event with the scores of the epochs before its end.

    Args:
        metric: Validation metric that events contain.
        known: Attempt of the last known record, by trial; defaults to `Work.attempts`.
    """
    asked = {work.trial.trial_id: work for work in works}
    if not asked:
        return []
    rows: list[dict[Any, Any]] = retry_storage(lambda: ledger.trials(trial_ids=list(asked)).to_dict("records"))
    new = [row for row in rows if row["attempt"] > known.get(row["trial_id"], asked[row["trial_id"]].attempts)]
    best = {row["trial_id"]: int(row["best_epoch"]) for row in new if row["status"] == "finished"}
    networks = {trial_id: reported_network(work.trial.recipe) for trial_id, work in asked.items()}
    scores = retry_storage(lambda: read_scores(ledger, best, [metric], lambda trial_id: networks[trial_id]))
    events = []
    for row in new:
        if row["status"] == "finished":
            events += _finished(row, scores.get(row["trial_id"]), asked[row["trial_id"]])
        else:
            message, frame = message_and_frame(row["error"])
            common = _common(row, asked)
            events.append(TrialEvent(kind="failed", failure=row["failure"], error=message, frame=frame, **common))
    return events


def _finished(row: Mapping[str, Any], scores: Scores | None, work: Work) -> list[TrialEvent]:
    common = _common(row, {work.trial.trial_id: work})
    best = scores.values[0] if scores is not None and scores.values[0] == scores.values[0] else None
    end = TrialEvent(
        kind="finished", stop_reason=row["stop_reason"], best_epoch=int(row["best_epoch"]), metric=best, **common
    )
    judged = end.epoch - (end.stop_reason != PRUNED)  # the end event covers the last epoch, unless pruned
    if scores is None or judged < 1:
        return [end]
    curve = tuple(scores.curve.get(epoch) for epoch in range(1, judged + 1))
    epoch = TrialEvent(kind="epoch", metric=curve[-1], earlier_metrics=curve, **common | {"epoch": judged})
    return [epoch, end]


def _common(row: Mapping[str, Any], works: Mapping[str, Work]) -> dict[str, Any]:
    return {
        "trial_id": row["trial_id"],
        "epoch": int(row["epochs"]) if row["epochs"] == row["epochs"] else 0,
        "epochs": works[row["trial_id"]].trial.recipe.epochs,
        "wall_s": float(row["wall_s"]) if row["wall_s"] == row["wall_s"] else 0.0,
        "attempt": int(row["attempt"]),
        "host": row["host"] or "",
    }
