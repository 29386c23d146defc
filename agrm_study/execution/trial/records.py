"""Records of a trial besides its results: first heartbeat, columns about the run, failure."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from agrm_study.execution.provenance import code_version
from agrm_study.execution.trial.checkpoints import CheckpointFolder
from agrm_study.execution.trial.convert import failed_columns, trial_columns
from agrm_study.execution.trial.failures import DETERMINISTIC, Failure
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.versions import versions_of_trial
from agrm_study.execution.trial.work import Work
from agrm_study.records.location import Location
from agrm_study.records.patience import PAUSES_S
from agrm_study.records.writer import write_trial


def record_failure(
    results: str | Location,
    work: Work,
    failure: Failure,
    beat: Heartbeat,
    *,
    rows: Sequence[dict[str, Any]] = (),
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Writes the record of a trial that failed; its checkpoint stays only if another attempt may resume from it.

    Raises:
        OSError: When storage refuses.
    """
    columns = trial_columns(work.trial) | failed_columns(failure, beat.epoch) | run_columns(beat)
    root, trial_id = Location.of(results), work.trial.trial_id
    write_trial(root, columns, epochs=rows, pauses_s=pauses_s)
    if failure.kind in DETERMINISTIC:
        CheckpointFolder.of(root, trial_id).finish(keep_weights=False)
        Heartbeat.remove(root, trial_id)
    else:
        replace(beat, over=True).write(root)


def first_beat(work: Work, device: str, last: Heartbeat | None = None) -> Heartbeat:
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
        epochs=work.trial.recipe.epochs,
        saved_wall_s=last.saved_wall_s if last is not None else 0.0,
        code_version=code_version(),
        versions=versions_of_trial({}),
    )


def run_columns(beat: Heartbeat) -> dict[str, Any]:
    """Columns of a trial's record on how, where and by which code it was run."""
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
