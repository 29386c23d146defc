"""The one member of Ray that is replaced, in the driver process: Tune's cache of warm workers."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Final

from agrm_study.execution.driver.actor_cache import ActorCache
from agrm_study.execution.driver.patching import patched_attribute

NAME: Final = "_ObjectCache"


@contextlib.contextmanager
def warm_workers() -> Iterator[str]:
    """Keeps all workers warm between trials within the block (`ActorCache`).

    Tune's own cache keeps one worker where no trial is about to start, and the others pay the start of a process and
    the import of torch again with their next trial.

    Gives:
        Why this Ray does not allow it; empty when it does. A study runs without it, only slower.
    """
    from ray.tune.execution import tune_controller

    problem = unlike(getattr(tune_controller, NAME, None))
    if problem:
        yield problem
        return
    with patched_attribute(tune_controller, NAME, ActorCache):
        yield ""


def unlike(theirs: object) -> str:
    """How Tune's class differs from `ActorCache`; empty where one can take the other's place.

    Args:
        theirs: Tune's class, ``None`` where this Ray has none.
    """
    if theirs is None:
        return f"this Ray has no {NAME}"
    for name, member in inspect.getmembers(theirs):
        if name.startswith("_") and name != "__init__":
            continue
        ours = getattr(ActorCache, name, None)
        if ours is None or _parameters(ours) != _parameters(member):
            return f"{NAME}.{name} of this Ray is another"
    return ""


def _parameters(member: object) -> list[str] | None:
    return list(inspect.signature(member).parameters) if callable(member) else None
