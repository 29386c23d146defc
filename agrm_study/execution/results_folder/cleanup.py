"""Removal of files left behind by killed processes of this or earlier runs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.schemas import SCHEMAS
from agrm_study.study.temporary import private_folder, remove_abandoned

RUN_FOLDER: Final = ".run"


def clean(results: Location) -> None:
    """Removes temporary files and folders whose owner has ended, and stop flags.

    They lie in the results folder (in an object store a file exists completely or not at all) and in this user's
    temporary folder on this machine. Call it while no trial of these results runs and while the results lock is held:
    every stop flag is then a leftover. What cannot be removed now is retried by the next run.
    """
    with contextlib.suppress(OSError):
        remove_abandoned(private_folder())
    with contextlib.suppress(OSError):
        for flag in (results / RUN_FOLDER).children(".stop"):
            flag.delete()
    if results.is_local:
        for folder in _folders(Path(results.path)):
            remove_abandoned(folder)


def _folders(root: Path) -> list[Path]:
    """Folders that processes write to; checkpoint folders only of unfinished trials, as there may be very many."""
    run = root / RUN_FOLDER
    unfinished = (beat.stem for beat in (run / "heartbeats").glob("*.json"))
    return [
        *(root, run, run / "heartbeats", run / "prune", root / "stages"),
        *(root / "records" / kind for kind in SCHEMAS),
        *(root / "checkpoints" / trial_id for trial_id in unfinished),
    ]
