"""How do trials run on Ray Tune?

One Tune run an invocation, in a fresh folder that is never read back: the ledger decides what runs, Tune only executes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from unittest import mock

from agrm_study.execution.events import OnEvent, TrialEvent
from agrm_study.execution.executor import Executor
from agrm_study.execution.failures import Failure, classify
from agrm_study.execution.heartbeat import Heartbeat
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.lock import FOLDER
from agrm_study.execution.ray_session import Resources, ray_session
from agrm_study.execution.source import WorkSource
from agrm_study.execution.work import WorkerSettings
from agrm_study.execution.worker import first_beat, record_failure
from agrm_study.records.location import Location

STALL_FACTOR: Final = 20.0
STALL_AT_LEAST_S: Final = 900.0
"""A worker that has been silent for this long, and for `STALL_FACTOR` times its longest epoch, is killed and its trial
goes on elsewhere."""


TOLD_LINES: Final = 12
"""Lines that a record keeps of what Ray says about a dead worker."""


class RayTuneExecutor(Executor):
    """Runs trials on Ray Tune, on this machine or on a cluster.

    Args:
        resources: What one trial takes.
        slots: Trials at once; ``None`` for as many as fit.
        address: A Ray cluster; ``None`` starts a local Ray.
        retries: How often a trial whose worker died goes on from its checkpoint within one run.
    """

    def __init__(
        self,
        *,
        resources: Resources,
        slots: int | None = None,
        address: str | None = None,
        retries: int = 3,
    ) -> None:
        self._resources = resources
        self._slots = slots
        self.slots = slots or 1
        self._address = address
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
        settings = replace(settings, stop_flag=_address_of(settings.results, flag))
        with (
            _tune_folder(results) as folder,
            ray_session(self._address, self._resources, self._slots) as slots,
        ):
            self.slots = slots
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
        slots: int,
        folder: Path,
        run_id: str,
        flag: Location,
        on_event: OnEvent,
        interrupt: Interrupt,
        on_tick: Callable[[], None],
    ) -> None:
        from ray.tune import (
            CheckpointConfig,
            FailureConfig,
            PlacementGroupFactory,
            RunConfig,
            TuneConfig,
            Tuner,
            with_resources,
        )

        from agrm_study.execution.ray_amendments import amended_tune
        from agrm_study.execution.ray_callback import DriverCallback
        from agrm_study.execution.searcher import PlanSearch
        from agrm_study.execution.trainable import StudyTrainable

        callback = DriverCallback(
            source=source, settings=settings, flag=flag, interrupt=interrupt, on_event=on_event, on_tick=on_tick
        )
        tuner = Tuner(
            with_resources(StudyTrainable, PlacementGroupFactory([self._resources.bundle()])),
            tune_config=TuneConfig(
                search_alg=PlanSearch(source, settings, slots), num_samples=len(source), reuse_actors=True
            ),
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
        with mock.patch.dict(os.environ, {"TUNE_MAX_PENDING_TRIALS_PG": str(slots)}), amended_tune():
            try:
                tuner.fit()
            finally:
                callback.raise_if_broken()


@contextlib.contextmanager
def _tune_folder(results: Location) -> Iterator[Path]:
    """A folder for Tune's own state; on this machine, and gone afterwards: nobody reads it."""
    if results.is_local:
        folder = Path(results.path) / "ray"
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = Path(tempfile.mkdtemp(prefix="agrm-study-tune-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _address_of(results: str, flag: Location) -> str:
    """The flag as a path, or as a URI of the same kind as the results."""
    if "://" not in results:
        return flag.path
    return f"{results.partition('://')[0]}://{flag.path}"


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
        record_failure(settings.results, work, failure, beat)
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
