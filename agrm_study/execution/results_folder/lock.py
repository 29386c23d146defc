"""Is another run writing to this results folder?"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from agrm_study.execution.results_folder.object_store_lock import TakenError, claimed, holder
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError

FOLDER: Final = ".run"
LOCK: Final = "lock"
TRY_FOR_S: Final = 1.0
"""Whoever looks at the folder (`running_owner`) holds its lock for a moment; a run holds it for longer than this."""


@contextlib.contextmanager
def results_lock(results: Location, study: str, tick: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the results folder for this process.

    A local folder is locked with flock; the lock goes when the process does, however it ends. One in an object store is
    claimed: what a crash has left there is found out within a minute.

    Args:
        results: The folder.
        study: Name of the study.
        tick: Called while a claim is looked into; may raise to give up.

    Raises:
        InputError: When another run holds it, with who that is.
        OSError: The object store does not answer.
    """
    if not results.is_local:
        try:
            with claimed(results / FOLDER / LOCK, _this_run(study), tick):
                yield
        except TakenError as taken:
            raise _refusal(results, taken.owner) from None
        return
    folder = Path(results.path) / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(
            "the results folder must be writable",
            where=results.path,
            given=error.strerror,
            hint="Name another folder with --results.",
        ) from None
    try:
        try:
            _take(descriptor)
        except OSError:
            raise _refusal(results, _owner(folder)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_this_run(study)).encode(), 0)
        for leftover in folder.glob("*.stop"):  # of a run that was killed while it stopped
            leftover.unlink(missing_ok=True)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> None:
    end = time.monotonic() + TRY_FOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)


def running_owner(results: Location) -> dict[str, Any] | None:
    """Who is running in a results folder now (``study``, ``host``, ``pid``, ``since``), ``None`` for nobody.

    Raises:
        OSError: The object store does not answer.
    """
    if not results.is_local:
        return holder(results / FOLDER / LOCK)
    folder = Path(results.path) / FOLDER
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _owner(folder)
    finally:
        os.close(descriptor)
    return None


def _this_run(study: str) -> dict[str, Any]:
    return {"study": study, "host": platform.node(), "pid": os.getpid(), "since": time.time()}


def _owner(folder: Path) -> dict[str, Any]:
    try:
        owner: dict[str, Any] = json.loads((folder / LOCK).read_text())
    except (OSError, ValueError):
        return {}
    return owner


def _refusal(results: Location, owner: dict[str, Any]) -> InputError:
    return InputError(
        "one run at a time may write to a results folder",
        where=results.address,
        given=_describe(owner),
        hint="Wait for it, stop it, or choose another --results folder.",
    )


def _describe(owner: dict[str, Any]) -> str:
    if not owner:
        return "held by another process"
    minutes = (time.time() - owner["since"]) / 60
    return f"held by process {owner['pid']} on {owner['host']} (study {owner['study']}, for {minutes:.0f} min)"
