"""Temporary patches to Ray Tune in the driver process: its cache of warm workers."""

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

    Tune's own cache keeps one worker when no trial is about to start; the next trials of the others start a new
    process and import torch again.

    Gives:
        Yields the reason why this version of Ray does not allow it; empty if it does. A study then runs more slowly.
    """
    from ray.tune.execution import tune_controller

    problem = unlike(getattr(tune_controller, NAME, None))
    if problem:
        yield problem
        return
    with patched_attribute(tune_controller, NAME, ActorCache):
        yield ""


def unlike(theirs: object) -> str:
    """How Tune's class differs from `ActorCache`; empty if it can be replaced.

    Args:
        theirs: Tune's class, ``None`` if this version of Ray has none.
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
