"""What does Tune 2.60 do that a study cannot live with, and how is it told otherwise while a study runs?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.execution.tune_controller import TuneController

from agrm_study.execution.driver.actor_cache import ActorCache
from agrm_study.execution.driver.patching import patched_attribute


class HostOutOfMemory(RayActorError):  # type: ignore[misc]
    """A worker that Ray's memory monitor has killed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[Any, ...]:
        return HostOutOfMemory, (self.text,)


@contextlib.contextmanager
def patched_tune() -> Iterator[None]:
    """Changes to Tune for the duration of the block.

    A worker that was killed for memory counts as one that died. Ray's memory monitor raises `OutOfMemoryError`, which
    is no `RayActorError`; Tune's actor manager knows only the latter and would end the whole experiment.

    Workers stay warm for a while when trials that could take them are to come (`warm`).

    When the run is asked to stop, a trial that has no worker yet is let go: its node may never come.
    """
    task_failed, stop_if_needed = (
        RayActorManager._actor_task_failed,
        TuneController._stop_experiment_if_needed,
    )

    def task_failed_or_memory(self: Any, tracked_actor_task: Any, exception: Exception) -> Any:
        if isinstance(exception, OutOfMemoryError):
            exception = HostOutOfMemory(str(exception))
        return task_failed(self, tracked_actor_task, exception)

    def stop_what_waits(self: Any) -> None:
        stop_if_needed(self)
        if self._search_alg.stopped:
            for trial in self._pending_trials - self._resetting_trials:
                if trial.temporary_state.ray_actor is None:
                    self._search_alg.on_trial_complete(trial.trial_id)
                    self._schedule_trial_stop(trial)
                    self._live_trials.discard(trial)

    with (
        patched_attribute(RayActorManager, "_actor_task_failed", task_failed_or_memory),
        patched_attribute(TuneController, "_stop_experiment_if_needed", stop_what_waits),
        patched_attribute(tune_controller, "_ObjectCache", ActorCache),
    ):
        yield
