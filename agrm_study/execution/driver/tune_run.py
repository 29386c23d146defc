"""One Tune run over the trials that a run hands out.

Its folder is fresh and never read back: the ledger decides what runs, Tune only executes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.memory_watchdog import MemoryWatchdog
from agrm_study.execution.driver.patching import patched_environment
from agrm_study.execution.driver.preflight import check_files
from agrm_study.execution.driver.remote_source import RemoteSource
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.driver.stall_detector import StallDetector
from agrm_study.execution.resources.capacity import Resources, Slots
from agrm_study.execution.trial.work import WorkerSettings

MOST_SLOTS: Final = 10_000
"""Trials that Tune may hold ready on a cluster: more than any has room for."""


class TuneRun:
    """Runs trials on Ray Tune, on this machine or on a cluster.

    Args:
        channel: Hands out trials and receives their events.
        settings: JSON of `WorkerSettings`.
        total: Trials of the run.
        resources: Resources of one trial.
        kinds: Accelerators that trials name (`Work.accelerator`); none when they do not.
        slots: Number of concurrent trials; ``None`` for as many as fit.
        address: A Ray cluster; ``None`` starts a local Ray.
        grows: Whether the cluster's autoscaler adds nodes.
        data: Data that trials read, with the size of clip stores; every node must be able to access them and have room.
        retries: How often a trial whose worker died is resumed from its checkpoint within one run.
        stall: Arguments of the `StallDetector`.
        memory_threshold: Used part of this machine's memory from which the largest worker is ended.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        settings: str,
        total: int,
        resources: Resources,
        kinds: Sequence[str],
        slots: int | None,
        address: str | None,
        grows: bool,
        data: Mapping[str, int],
        retries: int,
        stall: Mapping[str, float],
        memory_threshold: float,
    ) -> None:
        self._channel, self._settings = channel, WorkerSettings.from_json(settings)
        self._source = RemoteSource(channel, total, prune=self._settings.prune)
        self._resources, self._kinds, self._slots = resources, tuple(kinds), slots
        self._address, self._grows, self._data, self._retries = address, grows, data, retries
        self._stall, self._memory_threshold = StallDetector(**stall), memory_threshold

    def run(self) -> None:
        """Returns when no trial is left.

        Raises:
            InputError: The cluster or its nodes are unfit.
            ExecutionLost: Ray has died.
        """
        with ray_session(self._address, self._resources, self._slots, grows=self._grows, kinds=self._kinds) as slots:
            self._channel.tick(slots())
            if self._address is not None:
                stores = {place: size for place, size in self._data.items() if size}
                check_files(list(self._data), stores, self._settings.local_store)
            self._fit(slots)

    def _fit(self, slots: Slots) -> None:
        from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

        from agrm_study.execution.driver.callback import DriverCallback
        from agrm_study.execution.driver.plan_search import PlanSearch
        from agrm_study.execution.driver.trainable import StudyTrainable

        callback = DriverCallback(self._source, self._settings, self._stall, lambda: self._channel.tick(slots()))
        search = PlanSearch(self._source, self._settings, slots.full, self._resources, self._kinds)
        tuner: Any = Tuner(
            StudyTrainable,
            tune_config=TuneConfig(search_alg=search, num_samples=max(1, len(self._source)), reuse_actors=True),
            run_config=RunConfig(
                name="tune",
                storage_path=str(Path.cwd()),  # of this process alone, and removed with it
                failure_config=FailureConfig(max_failures=self._retries),
                checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[callback],
                verbose=0,
            ),
        )
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        # The searcher hands out no more than fit: Tune need not queue any of them
        pending = slots() if self._address is None else MOST_SLOTS
        with (
            patched_environment({"TUNE_MAX_PENDING_TRIALS_PG": str(pending)}),
            self._watchdog(callback.workers) as callback.watchdog,
        ):
            try:
                tuner.fit()
            finally:
                callback.raise_if_broken()

    def _watchdog(
        self, workers: Callable[[], Mapping[str, int]]
    ) -> contextlib.AbstractContextManager[MemoryWatchdog | None]:
        """Watches the memory of this machine; the nodes of a cluster use Ray's own monitor."""
        if self._address is not None:
            return contextlib.nullcontext()
        return MemoryWatchdog(workers, threshold=self._memory_threshold)
