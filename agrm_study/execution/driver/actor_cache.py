"""Which workers stay warm between two trials? All, for a while, unless they hold what another trial waits for."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from typing import Any, Final

from ray.tune.utils.object_cache import _ObjectCache

WARM_S: Final = 60.0
"""Seconds without a trial after which a worker gives back what it holds: others may want it, or its node may leave."""


class ActorCache(_ObjectCache):  # type: ignore[misc]
    """Tune's cache of actors whose trial has ended, by what they hold.

    Tune's own keeps one where no trial is about to start: of several trials that end together, or while others wait for
    a stage that a running one leaves, all but one lose their process, and the next trials start it anew. This one keeps
    them for a minute, or until a trial that asks for other resources is about to start; one that asks for the same
    takes one of them. There are never more than slots: a trial only gets a new actor when none of these is left.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._since: dict[Any, float] = {}

    def cache_object(self, key: Hashable, obj: Any) -> bool:
        self._since[obj] = time.monotonic()
        if self._others_wait(key):
            kept: bool = super().cache_object(key, obj)
            return kept
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        for key, kept in self._cached_objects.items():
            most = 0 if force_all else self._max_num_objects[key]
            while len(kept) > most and (force_all or self._others_wait(key) or self._has_cooled(kept[0])):
                self._num_cached_objects -= 1
                yield kept.pop(0)

    def _has_cooled(self, obj: Any) -> bool:
        return time.monotonic() - self._since[obj] > WARM_S

    def _others_wait(self, key: Hashable) -> bool:
        """Whether a trial that asks for other resources is about to start."""
        return any(count for other, count in self._max_num_objects.items() if other != key)
