"""Events of a trial during a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final, Literal

EventKind = Literal["started", "preparing", "epoch", "finished", "failed", "interrupted", "retried", "held"]
UNDER_WAY: Final = ("preparing", "epoch")
"""Kinds after which a trial's worker continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEvent:
    """An event of a trial, as plain values that can be sent between processes.

    Attributes:
        kind: ``started``, ``preparing`` (its data are still being copied), ``epoch`` (an epoch is complete),
            ``finished`` and ``failed`` (a record was written),
            ``interrupted`` (stopped at an epoch boundary, resumes later), ``retried`` (its worker died, or its share of
            a GPU was too small, and it was put back in the queue), ``held`` (not started because its arm failed in
            the same way several times).
        metric: Validation metric of the study after this epoch, or at the best epoch when finished.
        wall_s: Seconds of training so far, summed over all contributing attempts.
        resumed: Epoch of the checkpoint that this attempt resumed from; 0 if there is none.
        saved: Epoch of the rolling checkpoint; 0 if there is none.
        inherited: Number of epochs whose state this attempt inherited from another trial.
        earlier_metrics: In a search that prunes, the validation metric after each epoch that this attempt did not
            train, in order; only in its first ``epoch`` event, which reports no new epoch.
        gpus: Number of GPUs allocated to the attempt of a ``started`` event; 0 for the run's default.
        saved_stage: Stage whose state was saved for other trials since the last event.
        stage_error: Reason why the state of a stage could not be saved for other trials.
        stop_reason: For a ``finished`` trial: ``epochs``, ``early_stop``, or ``pruned`` if a search ended it early.
        note: Operation that a ``preparing`` trial is waiting for.
        message: Message for the user: that a ``finished`` trial only recomputed its predictions, or why a
            ``preparing`` trial is trained instead.
        elsewhere: Whether another joined run executed the trial.
    """

    kind: EventKind
    trial_id: str
    epoch: int = 0
    epochs: int = 0
    metric: float | None = None
    wall_s: float = 0.0
    epoch_s: float = 0.0
    resumed: int = 0
    saved: int = 0
    inherited: int = 0
    earlier_metrics: tuple[float | None, ...] = ()
    gpus: float = 0.0
    saved_stage: str = ""
    stage_error: str = ""
    stop_reason: str = ""
    best_epoch: int = 0
    attempt: int = 1
    host: str = ""
    pid: int = 0
    failure: str | None = None
    error: str | None = None
    frame: str = ""
    note: str = ""
    message: str = ""
    elsewhere: bool = False

    def to_json(self) -> str:
        """Compact JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TrialEvent:
        """Inverse of `to_json`."""
        values = json.loads(text)
        return cls(**values | {"earlier_metrics": tuple(values["earlier_metrics"])})


OnEvent = Callable[[TrialEvent], None]
