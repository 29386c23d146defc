"""How do the records of a long run stay readable while it goes on? Every so often those that have come are merged.

Whoever looks at a results folder opens each loose record: `status` of a hundred thousand would take minutes.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Final

import pyarrow as pa

from agrm_study.records.compaction import compact
from agrm_study.records.location import Location

COMPACT_FROM: Final = 1024
"""Loose records from which they are merged."""


class Compacting:
    """Merges the records of finished trials in a thread of its own, again and again.

    A merge that storage refuses leaves the records as they are; the next one takes them too.
    """

    def __init__(self, results: Location, every: int = COMPACT_FROM) -> None:
        self._results, self._every = results, every
        self._loose = 0
        self._thread: threading.Thread | None = None

    def finished(self) -> None:
        """One more trial has finished."""
        self._loose += 1
        if self._loose < self._every or (self._thread is not None and self._thread.is_alive()):
            return
        self._loose = 0
        self._thread = threading.Thread(target=self._compact, name="compacting", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Waits for the merge that is under way."""
        if self._thread is not None:
            self._thread.join()

    def _compact(self) -> None:
        with contextlib.suppress(OSError, pa.ArrowException):
            compact(self._results)
