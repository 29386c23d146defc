"""Private folders for a local Ray instance on this machine: location, ownership and removal.

The default folder of Ray is /tmp/ray, which is open to all users, never removed, and unusable if another user has
created it or if `TMPDIR` is too long for socket names.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from agrm_study.study.temporary import is_abandoned, owned

PREFIX: Final = "agrm-ray-"
SOCKET_BYTES: Final = 107
"""Maximum length of a socket name on Linux (`sun_path` in unix(7))."""
LONGEST_SOCKET: Final = "/ray/session_2026-01-31_23-59-59_999999_4194304/sockets/plasma_store"
"""Longest path of a socket inside Ray's folder."""
SUFFIX_LENGTH: Final = 8
LONGEST_PLACE: Final = SOCKET_BYTES - len(LONGEST_SOCKET) - len(f"/{PREFIX}") - SUFFIX_LENGTH
"""Maximum length of a location's path, in bytes."""
LEAST_FREE_BYTES: Final = 100 * 2**20
GONE_S: Final = 5.0
"""Seconds within which the last processes of a terminated Ray instance stop writing to its folder."""


class NoRayFolder(OSError):
    """No location on this machine is suitable for a private folder; `reasons` contains one text per location."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@contextlib.contextmanager
def ray_folder(suffix: str = "") -> Iterator[Path]:
    """A new folder that only this user can access, short enough for Ray's sockets; removed after the block.

    Ray's last processes can create it again while they are being killed: `remove_ray_folders` removes it then.

    Args:
        suffix: End of its name, `SUFFIX_LENGTH` characters; random if empty.
    """
    remove_abandoned_rays()
    folder = make_ray_folder(suffix)
    try:
        with owned(folder):
            yield folder
    finally:
        remove_ray_folder(folder)


def make_ray_folder(suffix: str = "") -> Path:
    """A new folder in the first suitable location, which the caller removes; raises `NoRayFolder` if there is none."""
    name = PREFIX + (suffix or secrets.token_hex(SUFFIX_LENGTH // 2))
    reasons = []
    for place in places():
        reason = unfit(place)
        if not reason:
            folder = place / name
            try:
                folder.mkdir(0o700)
            except OSError as error:
                reason = f"cannot be written to ({error.strerror})"
            else:
                reason = _without_sockets(folder)
                if not reason:
                    return folder
                remove_ray_folder(folder)
        reasons.append(f"{place} {reason}")
    raise NoRayFolder(reasons)


def places() -> list[Path]:
    """Candidate locations, in order: the user's temporary folders, then the default folders of the system."""
    wanted = [os.environ.get(name, "") for name in ("RAY_TMPDIR", "TMPDIR")]
    system = ["/tmp", "/var/tmp", os.environ.get("XDG_RUNTIME_DIR", ""), str(Path("~").expanduser()), "/dev/shm"]  # noqa: S108 - the folder in it is private
    return [Path(place) for place in dict.fromkeys([*wanted, *system]) if place.startswith("/")]


def unfit(place: Path) -> str:
    """Reason why a location is unsuitable for a private folder; empty if no problem is known."""
    if (length := len(os.fsencode(place))) > LONGEST_PLACE:
        return f"is too long for socket names ({length} of at most {LONGEST_PLACE} bytes)"
    try:
        about = place.stat()
        free = shutil.disk_usage(place).free
    except OSError as error:
        return f"cannot be used ({error.strerror})"
    if not stat.S_ISDIR(about.st_mode):
        return "is not a folder"
    if about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX:
        return "allows other users to replace its content (the sticky bit is not set)"
    if free < LEAST_FREE_BYTES:
        return f"has only {free / 2**20:.0f} MiB free"
    return ""


def new_token(folder: Path) -> Path:
    """A file with this process's secret in a private folder, readable only by its owner."""
    file = folder / "auth_token"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, _secret().encode())
    finally:
        os.close(descriptor)
    return file


@functools.cache
def _secret() -> str:
    """One secret per process, since Ray reads its token once per process."""
    return secrets.token_hex(32)


def remove_abandoned_rays() -> None:
    """Removes this user's private folders whose owner ended without removing them (after a kill or a power failure).

    Ray processes that use these folders are killed first, since Ray's agents survive a killed raylet.
    """
    for place in places():
        with contextlib.suppress(OSError):
            for folder in place.glob(f"{PREFIX}*"):
                if _is_abandoned(folder):
                    _end_processes(folder)
                    remove_ray_folder(folder)


def remove_ray_folders(suffix: str) -> None:
    """Removes the folders of this user with a suffix given to `ray_folder`, after all processes that use them."""
    for place in places():
        with contextlib.suppress(OSError):
            folder = place / f"{PREFIX}{suffix}"
            if _is_own_folder(folder):
                remove_ray_folder(folder)


def _end_processes(folder: Path) -> None:
    """Kills this user's processes of the Ray instance that used a folder."""
    ended = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid() and process.environ().get("RAY_TMPDIR") == str(folder):
                process.kill()
                ended.append(process)
    psutil.wait_procs(ended, timeout=GONE_S)


def _is_abandoned(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return _is_own_folder(folder) and is_abandoned(folder)
    return False


def _is_own_folder(path: Path) -> bool:
    about = path.lstat()
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()


def _without_sockets(folder: Path) -> str:
    """Reason why a location does not support sockets and locks (some network file systems); empty if it does."""
    try:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.bind(str(folder / "socket"))
        with (folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return f"does not support sockets and locks ({error.strerror})"
    finally:
        for name in ("socket", "lock"):
            (folder / name).unlink(missing_ok=True)
    return ""


def remove_ray_folder(folder: Path) -> None:
    """Removes a folder, even while the last processes that write to it are ending."""
    end = time.monotonic() + GONE_S
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > end:
            return
        time.sleep(0.1)
