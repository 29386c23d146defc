"""Conversion of a trial's outcome into rows of its records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from agrm_study.execution.trial.failures import Failure
from agrm_study.plan.trial import Phase, TrialSpec
from agrm_study.records.schemas import EPOCHS
from agrm_study.records.validation_scores import validation_curve
from agrm_study.study.recipe import Recipe
from agrm_study.study.reported import reported_network
from agrm_study.training.outcome import EpochRow, TrialOutcome

ERROR_LIMIT = 8_000
"""Characters of an error that a record keeps, counted from its end."""


_HAVE_TAU = ("fixed", "flexmatch")
"""Policies in which `ssl.threshold.tau` has an effect."""


def trial_columns(trial: TrialSpec) -> dict[str, Any]:
    """The columns of the `trials` record that are known before the trial starts."""
    recipe = trial.recipe
    method = recipe.ssl.method
    pseudo = method in ("agrm", "pseudo_label", "fixmatch") and recipe.ssl.pseudo.mode != "off"
    return {
        "study": trial.study,
        "trial_id": trial.trial_id,
        "config_id": trial.config_id,
        "phase": trial.phase,
        "arm": trial.arm,
        "task": trial.task,
        "seed": trial.seed,
        "split_seed": recipe.split_seed,
        "params": json.dumps(trial.params, sort_keys=True),
        "backbone": recipe.model.backbone,
        "pooling": recipe.model.pooling.name,
        "method": method,
        "tau": recipe.ssl.threshold.tau if pseudo and recipe.ssl.threshold.policy in _HAVE_TAU else None,
        "alpha": recipe.ssl.ema.alpha if recipe.has_teacher else None,
        "ramp_epochs": recipe.ssl.ramp.epochs if recipe.uses_unlabelled else None,
        "data_fingerprint": trial.data_fingerprint,
        "split_fingerprint": trial.split_fingerprint,
    }


def finished_columns(outcome: TrialOutcome, stop_reason: str | None = None) -> dict[str, Any]:
    """The columns that a success adds; the stop reason is the outcome's unless given."""
    return {
        "status": "finished",
        "n_params": outcome.n_params,
        "stop_reason": stop_reason or outcome.stop_reason,
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


def prediction_blocks(outcome: TrialOutcome, phase: Phase = "final") -> list[dict[str, Any]]:
    """Blocks of the `predictions` record; a search never keeps those of the test part."""
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
        for block in outcome.predictions
        if block.label.size and not (phase == "search" and block.split == "test")
    ]


def metric_by_epoch(rows: Iterable[EpochRow], recipe: Recipe, metric: str) -> dict[int, float]:
    """The finite values of a trial's validation metric, by epoch."""
    return validation_curve(epoch_columns(rows), reported_network(recipe), metric)
