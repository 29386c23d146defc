"""How do the records of a long run stay readable while it goes on? Every so often those that have come are merged.

Whoever looks at a results folder opens each loose record: `status` of a hundred thousand would take minutes. A process
of its own merges them: in this one they would hold up the trials, and a merge leaves some 90 MB of scattered memory
that does not go back to the system.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from agrm_study.records.location import Location

COMPACT_FROM: Final = 1024
"""Loose records from which they are merged."""
MERGE: Final = "import os, sys; from agrm_study.records.compaction import compact; os.nice(5); compact(sys.argv[1])"


class Compacting:
    """Merges the records of finished trials in a process of its own, again and again.

    A merge that storage refuses leaves the records as they are; the next one takes them too. So does one that is cut
    short.

    Args:
        results: Results folder.
        every: Trials that finish between two merges, at least.
    """

    def __init__(self, results: Location, every: int = COMPACT_FROM) -> None:
        self._results, self._every = results, every
        self._loose = 0
        self._merge: subprocess.Popen[bytes] | None = None

    def finished(self) -> None:
        """One more trial has finished."""
        self._loose += 1
        if self._loose < self._every or (self._merge is not None and self._merge.poll() is None):
            return
        self._loose = 0
        nowhere = subprocess.DEVNULL
        self._merge = subprocess.Popen(
            [sys.executable, "-c", MERGE, self._results.address],
            stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True,
        )  # fmt: skip

    def close(self) -> None:
        """Waits for the merge that is under way."""
        if self._merge is not None:
            self._merge.wait()
