"""Temporary files and folders that are locked by their owner, so that leftovers of killed processes can be removed.

A lock (flock) is released when its process ends for any reason, and is visible to other hosts on a shared disk. On
storage without locks, nothing is removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

OWNER: Final = "owner.lock"
"""Name of the file in a temporary folder that its owner keeps locked."""
UNLOCKED_S: Final = 60.0
"""Age in seconds above which a folder without this file has no owner; creating the file takes milliseconds."""
_NAME: Final = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@contextlib.contextmanager
def replacing(target: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Atomically replace ``target`` with a file written in the block; readers see either the old or the new file.

    Args:
        target: Path of the file, in an existing folder.
        durable: Whether the content must survive a power failure.

    Raises:
        OSError: If writing fails; no temporary file is left.
    """
    temporary, descriptor = _new_file(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
            else:
                os.close(os.dup(stream.fileno()))  # network file systems report failed writes when a file is closed
            temporary.rename(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def folder_in(place: Path, purpose: str, *, mode: int = 0o777) -> Iterator[Path]:
    """Create a folder for the duration of the block; the folder or its files may be moved elsewhere in the block.

    Args:
        place: Existing parent folder.
        purpose: Part of the folder name.
        mode: Permissions, before the umask.

    Raises:
        OSError: If the storage operation fails.
    """
    folder = place / _name(purpose)
    folder.mkdir(mode)
    try:
        with owned(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Mark a new folder as owned by this process in the block; ownership ends when the process ends, at the latest.

    Raises:
        OSError: If the storage operation fails.
    """
    lock = os.open(folder / f"{OWNER}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with contextlib.suppress(OSError):  # storage without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / f"{OWNER}.new").rename(folder / OWNER)  # the file gets this name only when it is locked
        yield
    finally:
        os.close(lock)


def is_abandoned(folder: Path) -> bool:
    """Whether the owner of a folder (see `owned`) no longer exists.

    Raises:
        OSError: If the folder cannot be read.
    """
    try:
        with _unowned(folder / OWNER) as unowned:
            return unowned
    except FileNotFoundError:
        return time.time() - folder.lstat().st_mtime > UNLOCKED_S


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """Create a folder in `private_folder` for the duration of the block.

    Raises:
        OSError: If it cannot be created.
    """
    with folder_in(private_folder(), purpose, mode=0o700) as folder:
        yield folder


def private_folder() -> Path:
    """The private folder of the current user in the temporary folder (``$TMPDIR``), inaccessible to other users.

    Raises:
        OSError: If it cannot be created, is a link, or belongs to another user.
    """
    folder = Path(tempfile.gettempdir()) / f"agrm-study-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(0o700)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise _not_ours(folder, "is a link or a file") from None
        raise
    try:
        about = os.fstat(descriptor)
        if about.st_uid != os.getuid():
            raise _not_ours(folder, "belongs to another user")
        if stat.S_IMODE(about.st_mode) & 0o077:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)
    return folder


def remove_abandoned(place: Path) -> None:
    """Remove files and folders of `replacing` and `folder_in` that killed processes left behind in a folder."""
    for path in _temporary(place):
        with contextlib.suppress(OSError), _abandoned(path) as unowned:
            if unowned and path.is_dir():
                shutil.rmtree(path)
            elif unowned:
                path.unlink()


def abandoned(place: Path) -> list[Path]:
    """Files and folders that `remove_abandoned` would remove."""
    found = []
    for path in _temporary(place):
        with contextlib.suppress(OSError), _abandoned(path) as unowned:
            if unowned:
                found.append(path)
    return found


def _temporary(place: Path) -> list[Path]:
    """Entries of a folder that have names of temporary files or folders; empty if the folder cannot be read."""
    try:
        with os.scandir(place) as entries:
            return sorted(Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name))
    except OSError:
        return []


@contextlib.contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether the owner of a file or folder no longer exists; in the block, no other process can lock the file."""
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        with _unowned(path) as unowned:
            yield unowned
    else:
        yield stat.S_ISDIR(mode) and is_abandoned(path)


@contextlib.contextmanager
def _unowned(path: Path) -> Iterator[bool]:
    """Whether a file is unlocked; in the block, no other process can lock it."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _new_file(target: Path) -> tuple[Path, int]:
    """A new file next to its target, locked by this process if the storage supports locks."""
    while True:
        temporary = target.with_name(_name(target.name))
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process considered it abandoned before it was locked
            os.close(descriptor)
            continue
        except OSError:  # storage without locks
            return temporary, descriptor
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)


def _name(purpose: str) -> str:
    return f".{purpose}.{secrets.token_hex(4)}.tmp"


def _not_ours(folder: Path, why: str) -> PermissionError:
    return PermissionError(
        errno.EPERM, f"this user's temporary folder {why}; remove it, or set TMPDIR to another folder", str(folder)
    )
