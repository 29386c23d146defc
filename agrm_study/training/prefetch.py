"""Prefetching of batches in a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def prefetched(items: Iterable[Item], ahead: int) -> Iterator[Item]:
    """Yield the same items in the same order; a thread produces up to `ahead` items in advance.

    With `ahead` 0, no thread is started. An error in the producer is raised in place of the item. If the consumer stops
    early, the producer stops too.
    """
    if ahead == 0:
        yield from items
        return
    made: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(entry: tuple[bool, Item | BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                made.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    maker = threading.Thread(target=make, name="prefetch", daemon=True)
    maker.start()
    try:
        while True:
            more, entry = made.get()
            if not more:
                if isinstance(entry, BaseException):
                    raise entry
                return
            yield entry  # type: ignore[misc]
    finally:
        stopped.set()
        maker.join()
