"""Periodic merging of records during a long run.

Readers of a results folder open each loose record: `status` of a hundred thousand would take minutes. A child process
merges them: in this process a merge would delay the trials and leave some 90 MB of fragmented memory that is not
returned to the system.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from agrm_study.records.location import Location

COMPACT_FROM: Final = 1024
"""Number of loose records from which they are merged."""
MERGE: Final = "import os, sys; from agrm_study.records.compaction import compact; os.nice(5); compact(sys.argv[1])"


class Compacting:
    """Repeatedly merges the records of finished trials in a child process.

    A merge that fails or is cut short leaves the records unchanged; the next one includes them.

    Args:
        every: Trials that finish between two merges, at least.
    """

    def __init__(self, results: Location, every: int = COMPACT_FROM) -> None:
        self._results, self._every = results, every
        self._loose = 0
        self._merge: subprocess.Popen[bytes] | None = None

    def finished(self) -> None:
        """Counts a finished trial."""
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
        """Waits for the merge in progress."""
        if self._merge is not None:
            self._merge.wait()
