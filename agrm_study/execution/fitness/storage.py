"""Checks of the folders for results and clip stores: writing, renaming, locks, free space."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agrm_study.execution.fitness.finding import Finding, note, ok, problem
from agrm_study.execution.resources.folders import CACHE_VARIABLE, cache_folder, existing
from agrm_study.records.exclusive import probe
from agrm_study.records.location import Location

RESULTS_GB: Final = 1.0
STORE_GB: Final = 10.0
"""Free space below which a folder triggers a note; the protocol's store of 1,000 clips is about 9 GB."""
NO_ROOM_GB: Final = 0.2
CLOCK_SKEW_S: Final = 5.0


def check_storage(results: Path) -> Iterator[Finding]:
    """Checks the results folder (or the location where it will be created) and the folder for clip stores."""
    yield from _check_folder("results folder", results)
    yield from _check_room(
        "space for results", results, RESULTS_GB, "Free disk space, or choose a `--results` folder on a larger disk."
    )
    advice = f"Set {CACHE_VARIABLE} to a folder on a larger disk; `agrm-study plan STUDY` shows the size of each store."
    yield from _check_room("space for stores", cache_folder(results), STORE_GB, advice)


def _check_folder(check: str, folder: Path) -> Iterator[Finding]:
    """Checks the requirements of the ledger: writing, renaming over a file, locking, and a synchronised clock."""
    place = existing(folder)
    if not place.is_dir():
        yield problem(check, f"{place} is a file", "Choose a different folder.")
        return
    missing = "" if place == folder.absolute() else f" (does not exist yet; tested in {place})"
    first, second = (place / f".agrm-study-doctor-{uuid.uuid4().hex[:8]}{end}" for end in ("", ".2"))
    try:
        for file in (first, second):
            file.write_bytes(b"doctor")
        written = first.stat().st_mtime
        first.replace(second)
    except OSError as error:
        yield problem(
            check, f"{place} cannot be written to ({error.strerror})", "Choose a writable folder with `--results`."
        )
        return
    else:
        skew = written - time.time()
        if abs(skew) > CLOCK_SKEW_S:
            advice = "Synchronise both clocks with NTP; otherwise, updates of trials appear outdated."
            yield note(check, f"the file server's clock differs by {skew:+.0f} s from the local clock", advice)
        if _locks(second):
            yield ok(check, f"{folder}{missing}: writable, renames and locks work")
        else:
            advice = "Start each run there with --join: without it, agrm-study cannot detect a second run."
            yield note(check, f"{folder}{missing}: writable, but the file system does not support locks", advice)
        yield from check_joining(Location.of(place))
    finally:
        for file in (first, second):
            file.unlink(missing_ok=True)


def check_joining(folder: Location) -> Iterator[Finding]:
    """Whether runs can share a folder or bucket (`run --join`); its test files are removed afterwards."""
    if wrong := probe(folder):
        yield note("joined runs", f"{folder.address}: {wrong}", "Start one run at a time, without --join.")
    else:
        yield ok("joined runs", "several runs can share the folder with --join")


def _check_room(check: str, folder: Path, wanted_gb: float, advice: str) -> Iterator[Finding]:
    place = existing(folder)
    try:
        free = shutil.disk_usage(place).free / 1e9
    except OSError as error:
        yield problem(check, f"{place} cannot be read ({error.strerror})", advice)
        return
    text = f"{free:.1f} GB free at {place}"
    if free < NO_ROOM_GB:
        yield problem(check, text, advice)
    elif free < wanted_gb:
        yield note(check, text, advice)
    else:
        yield ok(check, text)


def _locks(file: Path) -> bool:
    descriptor = os.open(file, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
