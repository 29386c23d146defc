"""Cache of warm workers between trials: all are kept for a while, unless another trial waits for their resources."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator
from typing import Any, ClassVar, Final

WARM_S: Final = 60.0
"""Idle seconds after which a worker releases its resources, so that others can use them or its node can leave."""


class ActorCache:
    """Replaces Tune's cache of actors whose trial has ended; actors are grouped by the resources they hold.

    Tune's own keeps one where no trial is about to start: of several trials that end together, or while others wait for
    a stage that a running one leaves, all but one lose their process, and the next trials start it anew. This one keeps
    them for a minute, or until a trial that asks for other resources is about to start; one that asks for the same
    takes one of them. There are never more actors than slots: a new actor is created only when no cached one is left.
    """

    _distrusted: ClassVar[float] = float("-inf")

    def __init__(self, may_keep_one: bool = True) -> None:
        self._cached: defaultdict[Hashable, list[Any]] = defaultdict(list)
        self._starting: Counter[Hashable] = Counter()  # trials that are about to start
        self._since: dict[Any, float] = {}

    @classmethod
    def distrust(cls) -> None:
        """A worker has died: cached workers may have died with it and are not reused."""
        cls._distrusted = time.monotonic()

    @property
    def num_cached_objects(self) -> int:
        return sum(map(len, self._cached.values()))

    @property
    def total_max_objects(self) -> int:
        return self._starting.total()

    def increase_max(self, key: Hashable, by: int = 1) -> None:
        self._starting[key] += by

    def decrease_max(self, key: Hashable, by: int = 1) -> None:
        self._starting[key] -= by

    def cache_object(self, key: Hashable, obj: Any) -> bool:
        if self._others_wait(key) and len(self._cached[key]) >= self._starting[key]:
            return False
        self._since[obj] = time.monotonic()
        self._cached[key].append(obj)
        return True

    def has_cached_object(self, key: Hashable) -> bool:
        return any(self._is_trusted(obj) for obj in self._cached[key])

    def pop_cached_object(self, key: Hashable) -> Any:
        found = next((obj for obj in self._cached[key] if self._is_trusted(obj)), None)
        if found is not None:
            self._forget(key, found)
        return found

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        for key, cached in self._cached.items():
            for obj in list(cached):
                surplus = len(cached) > self._starting[key] and (self._others_wait(key) or self._has_cooled(obj))
                if force_all or surplus or not self._is_trusted(obj):
                    self._forget(key, obj)
                    yield obj

    def _forget(self, key: Hashable, obj: Any) -> None:
        self._cached[key].remove(obj)
        del self._since[obj]

    def _is_trusted(self, obj: Any) -> bool:
        return self._since[obj] > self._distrusted

    def _has_cooled(self, obj: Any) -> bool:
        return time.monotonic() - self._since[obj] > WARM_S

    def _others_wait(self, key: Hashable) -> bool:
        """Whether a trial that asks for other resources is about to start."""
        return any(count for other, count in self._starting.items() if other != key)
