"""Maintenance of a results folder: removal of files left by killed processes, and merging of records during a run."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from agrm_study.execution.results_folder.leases import remove_spent
from agrm_study.records.location import Location
from agrm_study.records.schemas import SCHEMAS
from agrm_study.study.temporary import abandoned, private_folder, remove_abandoned

RUN_FOLDER: Final = ".run"


def clean(results: Location, *, flags: bool = True) -> None:
    """Removes temporary files and folders whose owner has ended and, with `flags`, also stop flags and the fences and
    claims of joined runs.

    These files are in the results folder (in an object store, a file exists completely or not at all) and in this
    user's temporary folder on this machine. Use `flags` only while no trial of these results is running and
    while the exclusive results lock is held: all such files are then leftovers. Files that cannot be removed now are
    removed by the next run.
    """
    with contextlib.suppress(OSError):
        remove_abandoned(private_folder())
    if flags:
        with contextlib.suppress(OSError):
            for file in (results / RUN_FOLDER).children():
                if file.name.endswith(".stop") or file.name.startswith("fence-"):
                    file.delete()
        with contextlib.suppress(OSError):
            remove_spent(results)
    if results.is_local:
        for folder in _folders(Path(results.path)):
            remove_abandoned(folder)


def leftovers(results: Location) -> list[Path]:
    """Temporary files and folders that `clean` would remove."""
    places = _folders(Path(results.path)) if results.is_local else []
    with contextlib.suppress(OSError):
        places.append(private_folder())
    return [path for place in places for path in abandoned(place)]


def _folders(root: Path) -> list[Path]:
    """Folders that processes write to; checkpoint folders are limited to unfinished trials, since there may be many."""
    run = root / RUN_FOLDER
    unfinished = (beat.stem for beat in (run / "heartbeats").glob("*.json"))
    return [
        *(root, run, run / "heartbeats", run / "prune", run / "usage", root / "stages"),
        *(root / "records" / kind for kind in SCHEMAS),
        *(root / "checkpoints" / trial_id for trial_id in unfinished),
    ]


COMPACT_FROM: Final = 1024
"""Minimum number of loose records for a merge."""
MERGE: Final = "import os, sys; from agrm_study.records.compaction import compact; os.nice(5); compact(sys.argv[1])"


class Compacting:
    """Merges the records of finished trials in a child process, after at least `every` trials.

    A merge that fails or is interrupted leaves the records unchanged; the next merge includes them.
    """

    def __init__(self, results: Location, every: int = COMPACT_FROM) -> None:
        self._results, self._every = results, every
        self._loose = 0
        self._merge: subprocess.Popen[bytes] | None = None

    def finished(self) -> None:
        """Counts a finished trial, and starts a merge if one is due."""
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
