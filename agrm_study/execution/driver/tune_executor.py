"""How do trials run on Ray Tune?

One Tune run an invocation, in a fresh folder that is never read back: the ledger decides what runs, Tune only executes.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.executor import Executor
from agrm_study.execution.driver.patching import patched_environment
from agrm_study.execution.driver.preflight import check_files
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.resources.capacity import Resources, Slots
from agrm_study.execution.results_folder.lock import FOLDER
from agrm_study.execution.trial.events import OnEvent, TrialEvent
from agrm_study.execution.trial.failures import Failure, classify
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.records import first_beat, record_failure
from agrm_study.execution.trial.work import WorkerSettings
from agrm_study.records.location import Location

MOST_SLOTS: Final = 10_000
"""Trials that Tune may hold ready on a cluster: more than any has room for."""
TOLD_LINES: Final = 12
"""Lines that a record keeps of what Ray says about a dead worker."""


class RayTuneExecutor(Executor):
    """Runs trials on Ray Tune, on this machine or on a cluster.

    Args:
        resources: What one trial takes.
        kinds: Accelerators that trials name (`Work.accelerator`); none when they do not.
        slots: Trials at once; ``None`` for as many as fit.
        address: A Ray cluster; ``None`` starts a local Ray.
        grows: Whether the cluster's autoscaler brings nodes that are not there yet.
        data: What trials read, by size where it is a clip store: every node of a cluster must see it, and have room.
        retries: How often a trial whose worker died goes on from its checkpoint within one run.
    """

    def __init__(
        self,
        *,
        resources: Resources,
        kinds: Sequence[str] = (),
        slots: int | None = None,
        address: str | None = None,
        grows: bool = False,
        data: Mapping[str, int] | None = None,
        retries: int = 3,
    ) -> None:
        self._resources, self._kinds = resources, tuple(kinds)
        self._slots = slots
        self.slots = slots or 1
        self._address, self._grows, self._data = address, grows, data or {}
        self._retries = retries

    def run(
        self,
        source: WorkSource,
        settings: WorkerSettings,
        *,
        on_event: OnEvent,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        if source.exhausted:
            return
        results = Location.of(settings.results)
        run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        flag = results / FOLDER / f"{run_id}.stop"
        settings = replace(settings, stop_flag=flag.address)
        with (
            _tune_folder() as folder,
            ray_session(self._address, self._resources, self._slots, grows=self._grows, kinds=self._kinds) as slots,
        ):
            if self._address is not None:
                stores = {place: size for place, size in self._data.items() if size}
                check_files(list(self._data), stores, settings.local_store)
            try:
                self._fit(source, settings, slots, folder, run_id, flag, on_event, interrupt, on_tick)
            finally:
                interrupt.reinstall()
                with contextlib.suppress(OSError):
                    flag.delete()

    def _fit(
        self,
        source: WorkSource,
        settings: WorkerSettings,
        slots: Slots,
        folder: Path,
        run_id: str,
        flag: Location,
        on_event: OnEvent,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner

        from agrm_study.execution.driver.callback import DriverCallback
        from agrm_study.execution.driver.gpu_growth import GpuGrowth
        from agrm_study.execution.driver.plan_search import PlanSearch
        from agrm_study.execution.driver.ray_patches import patched_tune
        from agrm_study.execution.driver.trainable import StudyTrainable

        def full(running: Mapping[str | None, int]) -> frozenset[str | None]:
            self.slots = slots()
            return slots.full(running)

        growth = GpuGrowth(self._resources.gpu)
        callback = DriverCallback(
            source=source,
            settings=settings,
            growth=growth,
            flag=flag,
            interrupt=interrupt,
            on_event=on_event,
            on_tick=on_tick,
        )
        search = PlanSearch(source, settings, full, growth, self._resources)
        tuner = Tuner(
            StudyTrainable,
            tune_config=TuneConfig(search_alg=search, num_samples=len(source), reuse_actors=True),
            run_config=RunConfig(
                name=run_id,
                storage_path=str(folder),
                failure_config=FailureConfig(max_failures=self._retries),
                checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                callbacks=[callback],
                verbose=0,
            ),
        )
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        # The searcher hands out no more than fit: Tune need not hold any of them back
        pending = slots() if self._address is None else MOST_SLOTS
        with patched_environment({"TUNE_MAX_PENDING_TRIALS_PG": str(pending)}), patched_tune():
            try:
                tuner.fit()
            finally:
                callback.raise_if_broken()


@contextlib.contextmanager
def _tune_folder() -> Iterator[Path]:
    """A folder for Tune's own state; on this machine, and gone afterwards: nobody reads it.

    Not among the results: Tune would make their folder anew where their disk is gone for a while.
    """
    folder = Path(tempfile.mkdtemp(prefix="agrm-study-tune-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def dead_worker(error: BaseException | None) -> Failure:
    """What is known of a worker that died."""
    if error is None:
        return Failure("worker_killed", "the worker process ended without a word")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return Failure(classify(error).kind, lines[0], tail="\n".join(lines[1:TOLD_LINES]))


def give_up(source: WorkSource, settings: WorkerSettings, trial_id: str, failure: Failure) -> TrialEvent:
    """Records a trial whose workers died more often than it may be retried."""
    work = source.work(trial_id)
    beat = Heartbeat.read(Location.of(settings.results), trial_id) or first_beat(work, "cpu")
    message = failure.message
    try:
        record_failure(settings.results, work, failure, beat, pauses_s=())  # Tune's loop waits meanwhile
    except OSError as error:
        message = f"{message} (and its record could not be written: {error})"
    return TrialEvent(
        kind="failed",
        trial_id=trial_id,
        epoch=beat.epoch,
        epochs=beat.epochs,
        failure=failure.kind,
        error=message,
        attempt=beat.attempt,
        wall_s=beat.wall_s,
        host=beat.host,
    )
