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
        address: Address of a Ray cluster; ``None`` starts a local Ray instance.
        autoscale: Whether the cluster's autoscaler adds nodes for waiting trials; requires ``slots``.
        device: ``cpu`` or ``cuda``, regardless of a trial's resources; ``None`` to use a GPU if the trial has one.
        retry_failed: Whether to also rerun trials that failed deterministically (bug, nan_loss, data). Trials that
            failed for other reasons are always rerun.
        executor: ``ray``, or ``inline`` to run the trials sequentially in this process.
        retries: Maximum number of retries of a trial within this run after its worker died; each resumes from its
            checkpoint.
        checkpoint_every_s: Minimum seconds between two rolling checkpoints of a trial.
        runner: ``module:Class`` of the trial runner.
        workers: Number of processes that prepare data; by default one per available processor.
        limits: Time and GPU-hours after which the run ends cleanly, with its trials saved.
        join: Whether to share the study with other runs that have joined the same results folder.
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
    runner: str = AGRM_RUNNER
    workers: int | None = None
    limits: Limits = field(default_factory=Limits)
    join: bool = False
