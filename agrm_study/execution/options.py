"""Options of one run; none of them affects the outcome of a trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agrm_study.execution.dispatch.budget import Limits
from agrm_study.execution.trial.work import AGRM_RUNNER


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options for running a study; none of them affects the outcome of a trial.

    Attributes:
        results: Results folder, a local path or a URI.
        slots: Number of concurrent trials; ``None`` for as many as fit.
        address: A Ray cluster; ``None`` starts a Ray on this machine.
        autoscale: The cluster's autoscaler adds nodes for waiting trials; needs ``slots``.
        device: ``cpu`` or ``cuda``, regardless of a trial's resources; ``None`` for a GPU if the trial has one.
        retry_failed: Also rerun trials that failed deterministically (bug, nan_loss, data). Other failures are rerun
            in any case.
        executor: ``ray``, or ``inline`` for sequential trials in this process.
        retries: Number of times that a trial whose worker died is resumed from its checkpoint within this run.
        checkpoint_every_s: Minimum seconds between two rolling checkpoints of a trial.
        keep_weights: Keep the best weights of finished trials.
        runner: ``module:Class`` of the trial runner.
        workers: Processes that prepare data; all processors by default.
        limits: Time and GPU-hours after which the run ends cleanly, with its trials saved.
        join: Share the study with other runs that have joined the same results folder.
    """

    results: str | Path
    slots: int | None = None
    address: str | None = None
    autoscale: bool = False
    device: Literal["cpu", "cuda"] | None = None
    retry_failed: bool = False
    executor: Literal["ray", "inline"] = "ray"
    retries: int = 3
    checkpoint_every_s: float = 20.0
    keep_weights: bool = True
    runner: str = AGRM_RUNNER
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    join: bool = False
