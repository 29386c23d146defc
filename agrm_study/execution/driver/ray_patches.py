"""What does Tune 2.60 do that a study cannot live with, and how is it told otherwise while a study runs?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller

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
    """
    task_failed = RayActorManager._actor_task_failed

    def task_failed_or_memory(self: Any, tracked_actor_task: Any, exception: Exception) -> Any:
        if isinstance(exception, OutOfMemoryError):
            exception = HostOutOfMemory(str(exception))
        return task_failed(self, tracked_actor_task, exception)

    with (
        patched_attribute(RayActorManager, "_actor_task_failed", task_failed_or_memory),
        patched_attribute(tune_controller, "_ObjectCache", ActorCache),
    ):
        yield
