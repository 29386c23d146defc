"""Lock of a results folder, which allows one run, or several joined runs, to write at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agrm_study.execution.results_folder.leases import Leases, Member, living
from agrm_study.execution.results_folder.object_store_lock import TakenError, claimed, held, watch_claim
from agrm_study.execution.results_folder.upkeep import RUN_FOLDER, clean
from agrm_study.records.exclusive import LEASES, probe
from agrm_study.records.location import Location
from agrm_study.records.parsing import parse
from agrm_study.study.errors import InputError

FOLDER: Final = RUN_FOLDER
LOCK: Final = "lock"
TRY_FOR_S: Final = 1.0
"""Seconds to wait for the lock; longer than `running_owner` holds it, but shorter than a run holds it."""
MOST_BYTES: Final = 65_536
NO_LOCKS: Final = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL})
"""Errors of file systems without flock; joined runs do not need it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The run that has locked a results folder; `since` is a Unix time."""

    study: str
    host: str
    pid: int
    since: float


@contextlib.contextmanager
def results_lock(results: Location, study: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Locks the results folder for this process, and removes files that killed runs left in it.

    A local folder is locked with flock; the lock is released when the process ends for any reason. A folder in an
    object store is claimed (`object_store_lock`); a claim left by a crash is recognised within a minute. `on_wait`,
    called while waiting, may raise to abort.

    Raises:
        InputError: If another run has locked or joined it (the message identifies the run), or the folder is not
            writable.
        OSError: If the object store does not respond.
    """
    with _local(results, study) if results.is_local else _in_object_store(results, study, on_wait):
        leases = Leases(results)
        if (run := leases.watch(leases.others(), on_wait)) is not None:
            raise _joined_refusal(results, leases.member(run))
        clean(results)
        try:
            yield
        finally:
            clean(results)


@contextlib.contextmanager
def joined(results: Location, study: str, code: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[Leases]:
    """Joins the runs that share a results folder; at the end of the block, all claims of this run are released.

    Args:
        code: Versions that must be equal in all joined runs.
        on_wait: Called several times a second while other runs are watched; may raise to abort.

    Raises:
        InputError: If a run without ``--join`` has locked the folder, joined runs have different versions, the folder
            is not writable, or its storage cannot create files exclusively.
        OSError: If the object store does not respond.
    """
    me = _this_run(study)
    leases = Leases(results, Member(**asdict(me), code=code))
    with contextlib.ExitStack() as stack:
        if results.is_local:
            stack.enter_context(_local(results, study, shared=True))
        if wrong := probe(results / LEASES):
            raise InputError(
                "joined runs require storage that creates a file only if it does not exist",
                where=results.address,
                given=wrong,
                hint="Use other storage, or one run at a time, without --join.",
            )
        leases.join()
        leases.keep_renewed()
        stack.callback(leases.leave)
        if not results.is_local:  # announced before the check, so that of two simultaneous starts, one sees the other
            try:
                watch_claim(results / FOLDER / LOCK, on_wait)
            except TakenError as taken:
                raise _refusal(results, _owner(taken.content)) from None
        others = {run: leases.member(run) for run in leases.others()}
        unlike = [run for run, member in others.items() if member is None or member.code != code]
        if (run := leases.watch(unlike, on_wait)) is not None:
            raise _other_code(results, others[run], code)
        clean(results, flags=False)
        yield leases


@contextlib.contextmanager
def _in_object_store(results: Location, study: str, on_wait: Callable[[], None]) -> Iterator[None]:
    try:
        with claimed(results / FOLDER / LOCK, asdict(_this_run(study)), on_wait):
            yield
    except TakenError as taken:
        raise _refusal(results, _owner(taken.content)) from None


@contextlib.contextmanager
def _local(results: Location, study: str, *, shared: bool = False) -> Iterator[None]:
    folder = Path(results.path) / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _open(folder, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        link = folder.is_symlink() or (folder / LOCK).is_symlink()
        raise InputError(
            "a results folder and its lock must not be links" if link else "the results folder must be writable",
            where=folder / LOCK if link else results.path,
            given=error.strerror,
            hint="Remove the link." if link else "Choose a different folder with --results.",
        ) from None
    try:
        try:
            _take(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        except OSError as error:
            if not (shared and error.errno in NO_LOCKS):
                runs = [] if shared else living(results)
                raise (
                    _joined_refusal(results, runs[0]) if runs else _refusal(results, _read_owner(descriptor))
                ) from None
        if shared:
            yield
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(_this_run(study))).encode(), 0)
        yield
        with contextlib.suppress(OSError):  # storage may have become read-only; the lock is released in any case
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _open(folder: Path, flags: int) -> int:
    """Opens the lock file; raises `OSError` if it or its folder is a link, which could lead to an unrelated file."""
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        descriptor = os.open(LOCK, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666, dir_fd=parent)
    finally:
        os.close(parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, "Not a regular file", str(folder / LOCK))
    return descriptor


def _take(descriptor: int, kind: int) -> None:
    end = time.monotonic() + TRY_FOR_S
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.02)


def running_owner(results: Location) -> dict[str, Any] | None:
    """The run that holds a results folder (the fields of `Owner`); ``None`` if there is none, ``{}`` if it is unknown.

    For joined runs, the oldest run is returned, with the number of runs as ``joined``.
    """
    if not results.is_local:
        content = held(results / FOLDER / LOCK)
        return _oldest(living(results)) if content is None else _owner(content)
    try:
        descriptor = _open(Path(results.path) / FOLDER, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            return _read_owner(descriptor)
    finally:
        os.close(descriptor)
    return _oldest(living(results))


def _oldest(runs: list[Member]) -> dict[str, Any] | None:
    if not runs:
        return None
    owner = {name: getattr(runs[0], name) for name in ("study", "host", "pid", "since")}
    return owner | {"joined": len(runs)}


def _this_run(study: str) -> Owner:
    return Owner(study=study, host=platform.node(), pid=os.getpid(), since=time.time())


def _read_owner(descriptor: int) -> dict[str, Any]:
    try:
        return _owner(os.pread(descriptor, MOST_BYTES, 0))
    except OSError:
        return {}


def _owner(content: bytes | None) -> dict[str, Any]:
    found = parse(Owner, content)
    return {} if found is None else asdict(found)


def _refusal(results: Location, owner: dict[str, Any]) -> InputError:
    given = "held by another process"
    if owner:
        minutes = (time.time() - owner["since"]) / 60
        given = f"held by process {owner['pid']} on {owner['host']} (study {owner['study']}, for {minutes:.0f} min)"
    return InputError(
        "only one run at a time may write to a results folder",
        where=results.address,
        given=given,
        hint="Wait for it, stop it, or choose a different --results folder. Runs with --join can share a folder.",
    )


def _joined_refusal(results: Location, member: Member | None) -> InputError:
    return InputError(
        "a results folder shared by joined runs accepts further runs only with --join",
        where=results.address,
        given=f"joined by {member.words if member else 'another process'}",
        hint="Add --join, wait for them, or choose a different --results folder.",
    )


def _other_code(results: Location, member: Member | None, code: str) -> InputError:
    return InputError(
        "joined runs must have the same versions of agrm-study and its packages",
        where=results.address,
        given=code,
        allowed=member.code if member else "unknown",
        hint="Install the same environment everywhere, or wait for the other runs to end.",
    )
