"""One Tune run over the trials that a study run hands out.

Its folder is new and never read back: the ledger determines the trials to run, and Tune only executes them.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.memory_watchdog import MemoryWatchdog
from agrm_study.execution.driver.preflight import check_files
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.driver.stall_detector import StallDetector
from agrm_study.execution.resources.capacity import Placement, Slots
from agrm_study.execution.trial.work import WorkerSettings

MOST_SLOTS: Final = 10_000
"""Maximum number of pending trials in Tune on a cluster: more than any cluster can run."""


def run_trials(channel: Channel, arguments: Mapping[str, Any]) -> None:
    """Runs trials on Ray Tune until the run has no trials left.

    Args:
        arguments: ``placement``, ``data`` and ``retries`` of `RayExecutor`, ``settings`` (JSON of `WorkerSettings`),
            ``total`` (trials of the run), ``stall`` (arguments of `StallDetector`) and ``memory_threshold`` (of
            `MemoryWatchdog`).

    Raises:
        InputError: If the cluster or its nodes are unfit.
        ExecutionLost: If Ray has died.
    """
    placement, data = Placement.of(arguments["placement"]), arguments["data"]
    settings = WorkerSettings.from_json(arguments["settings"])
    with ray_session(placement) as slots:
        channel.tick(slots())
        if placement.address is not None:
            check_files(list(data), {place: size for place, size in data.items() if size}, settings.local_store)
        _fit(channel, arguments, placement, settings, slots)


def _fit(
    channel: Channel, arguments: Mapping[str, Any], placement: Placement, settings: WorkerSettings, slots: Slots
) -> None:
    from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

    from agrm_study.execution.driver.callback import DriverCallback
    from agrm_study.execution.driver.study_search import StudySearch
    from agrm_study.execution.driver.trainable import StudyTrainable

    total, is_local = arguments["total"], placement.address is None
    search = StudySearch(channel, settings, total, slots.full, placement)
    stall = StallDetector(**arguments["stall"])
    callback = DriverCallback(search, settings, stall, lambda: channel.tick(slots()))
    # The search hands out no more trials than fit, so Tune need not queue any
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots() if is_local else MOST_SLOTS)
    tuner: Any = Tuner(
        StudyTrainable,
        tune_config=TuneConfig(search_alg=search, num_samples=max(1, total), reuse_actors=True),
        run_config=RunConfig(
            name="tune",
            storage_path=str(Path.cwd()),  # private to this process, and removed with it
            failure_config=FailureConfig(max_failures=arguments["retries"]),
            checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
            callbacks=[callback],
            verbose=0,
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        if is_local:  # the nodes of a cluster have Ray's own monitor
            watchdog = MemoryWatchdog(callback.workers, threshold=arguments["memory_threshold"])
            callback.watchdog = stack.enter_context(watchdog)
        try:
            tuner.fit()
        finally:
            callback.raise_if_broken()
