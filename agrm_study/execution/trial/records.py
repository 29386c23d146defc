"""Rows of a trial's records, from its outcome or failure, and its first heartbeat."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.checkpoints import CheckpointFolder
from agrm_study.execution.trial.failures import DETERMINISTIC, Failure
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.versions import versions_of_trial
from agrm_study.execution.trial.work import Work
from agrm_study.plan.trial import Phase, TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.schemas import EPOCHS
from agrm_study.records.validation_scores import validation_curve
from agrm_study.records.writer import write_trial
from agrm_study.study.parts.names import short_name
from agrm_study.study.recipe import Recipe
from agrm_study.study.reported import reported_network
from agrm_study.training.outcome import EpochRow, Predictions, TrialOutcome

ERROR_LIMIT = 8_000
"""Maximum number of characters of an error in a record; the end of the error is kept."""
_HAVE_TAU = ("fixed", "flexmatch", "relative")
"""Policies for which `ssl.threshold.tau` has an effect."""


def trial_columns(trial: TrialSpec) -> dict[str, Any]:
    """The columns of the `trials` record that are known before the trial starts."""
    recipe = trial.recipe
    own = recipe.own_trainer
    pseudo = _learns_pseudo_labels(recipe)
    return {
        "study": trial.study,
        "trial_id": trial.trial_id,
        "config_id": trial.config_id,
        "phase": trial.phase,
        "arm": trial.arm,
        "task": trial.task,
        "seed": trial.seed,
        "split_seed": recipe.split_seed,
        "fold": trial.fold,
        "params": json.dumps(trial.params, sort_keys=True),
        "backbone": None if own else recipe.model.backbone,
        "pooling": None if own else recipe.model.pooling.name,
        "method": short_name(recipe.training.trainer) if own else recipe.ssl.method,
        "tau": recipe.ssl.threshold.tau if pseudo and recipe.ssl.threshold.policy in _HAVE_TAU else None,
        "alpha": recipe.ssl.ema.alpha if recipe.has_average else None,
        "ramp_epochs": recipe.ssl.ramp.epochs if recipe.uses_unlabelled else None,
        "data_fingerprint": trial.data_fingerprint,
        "split_fingerprint": trial.split_fingerprint,
    }


def _learns_pseudo_labels(recipe: Recipe) -> bool:
    return recipe.ssl.method in ("agrm", "pseudo_label", "fixmatch") and recipe.ssl.pseudo.mode != "off"


def finished_columns(outcome: TrialOutcome, stop_reason: str) -> dict[str, Any]:
    """The columns that a success adds.

    ``alpha`` is replaced, since a recipe may specify the memory of the average in epochs.
    """
    return {
        "alpha": outcome.alpha,
        "momentum": outcome.momentum,
        "steps_per_epoch": outcome.steps_per_epoch,
        "status": "finished",
        "n_params": outcome.n_params,
        "gflops": outcome.gflops,
        "clips_per_s": outcome.clips_per_s,
        "stop_reason": stop_reason,
        "best_epoch": outcome.best_epoch,
        "epochs": outcome.epochs,
    }


def failed_columns(failure: Failure, epochs: int) -> dict[str, Any]:
    """The columns that a failure adds."""
    error = failure.error if len(failure.error) <= ERROR_LIMIT else f"…{failure.error[-ERROR_LIMIT:]}"
    return {"status": "failed", "failure": failure.kind, "error": error, "epochs": epochs}


def epoch_columns(rows: Iterable[EpochRow]) -> list[dict[str, Any]]:
    """Rows of the `epochs` record; values without a column in the schema are omitted."""
    known = set(EPOCHS.names)
    converted = []
    for row in rows:
        values = {"epoch": row.epoch, "split": row.split, "network": row.network, "loss": row.loss}
        values |= row.metrics | row.training
        converted.append({name: value for name, value in values.items() if name in known})
    return converted


def prediction_blocks(predictions: Iterable[Predictions], phase: Phase = "final") -> list[dict[str, Any]]:
    """Blocks of the `predictions` record; a search never stores predictions for the test part."""
    return [
        {
            "split": block.split,
            "network": block.network,
            "epoch": block.epoch,
            "subject_id": block.subject_id,
            "clip_id": block.clip_id,
            "label": block.label,
            "logits": block.logits,
        }
        for block in predictions
        if block.label.size and not (phase == "search" and block.split == "test")
    ]


def metric_by_epoch(rows: Iterable[EpochRow], recipe: Recipe, metric: str) -> dict[int, float]:
    """The finite values of a trial's validation metric, by epoch."""
    return validation_curve(epoch_columns(rows), reported_network(recipe), metric)


def record_failure(
    results: str | Location,
    work: Work,
    failure: Failure,
    beat: Heartbeat,
    *,
    rows: Sequence[dict[str, Any]] = (),
    pauses_s: Sequence[float],
) -> None:
    """Writes the record of a trial that failed; keeps its checkpoint only if the trial may be retried."""
    columns = trial_columns(work.trial) | failed_columns(failure, beat.epoch) | run_columns(beat)
    root, trial_id = Location.of(results), work.trial.trial_id
    write_trial(root, columns, epochs=rows, pauses_s=pauses_s)
    if failure.kind in DETERMINISTIC:
        CheckpointFolder.of(root, trial_id).finish(keep_weights=False)
        Heartbeat.remove(root, trial_id)
    else:
        replace(beat, over=True).write(root)


def first_beat(work: Work, device: str, threads: int, last: Heartbeat | None = None) -> Heartbeat:
    """The first heartbeat of a new attempt."""
    now = time.time()
    return Heartbeat(
        trial_id=work.trial.trial_id,
        attempt=max(work.attempts, last.attempt if last is not None else 0) + 1,
        host=platform.node(),
        pid=os.getpid(),
        device=device_name(device),
        started_at=now,
        updated_at=now,
        epochs=work.steps,
        saved_wall_s=last.saved_wall_s if last is not None else 0.0,
        code_version=code_version(),
        versions=versions_of_trial({}, threads),
    )


def run_columns(beat: Heartbeat) -> dict[str, Any]:
    """Columns of a trial's record that describe its execution: time, device, host, versions and attempt."""
    return {
        "wall_s": beat.wall_s,
        "started_at": datetime.fromtimestamp(beat.started_at, UTC),
        "device": beat.device,
        "host": beat.host,
        "code_version": beat.code_version,
        "versions": json.dumps(beat.versions) if beat.versions else None,
        "attempt": beat.attempt,
    }


@lru_cache(maxsize=2)
def device_name(device: str) -> str:
    """``cpu``, or the name of the GPU."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else device
