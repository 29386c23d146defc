"""Temporary files and folders that carry a lock of their owner, so that what a killed process leaves can be removed.

A lock (flock) ends with the process that holds it, however that ends, and is seen by other hosts on a shared disk. On
storage without locks nothing is removed.
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
"""File in a temporary folder that the owner keeps locked."""
UNLOCKED_S: Final = 60.0
"""Age from which a folder without that file has no owner; making one takes milliseconds."""
_NAME: Final = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


@contextlib.contextmanager
def replacing(target: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write in the block; afterwards it takes the place of ``target``, and readers see the old or the new.

    Args:
        target: In a folder that exists.
        durable: Whether the content survives a power cut.

    Raises:
        OSError: When the storage refuses; nothing is left behind.
    """
    temporary, descriptor = _new_file(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
            else:
                os.close(os.dup(stream.fileno()))  # a network disk reports refused writes when a file is closed
            temporary.rename(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def folder_in(place: Path, purpose: str, *, mode: int = 0o777) -> Iterator[Path]:
    """A new folder for the duration of the block; it may be moved away in it, or files out of it.

    Args:
        place: The folder around it, which exists.
        purpose: Part of its name.
        mode: Permissions, before the umask.

    Raises:
        OSError: When the storage refuses.
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
    """A new folder has this process for its owner in the block; that ends with the process, however it ends.

    Raises:
        OSError: When the storage refuses.
    """
    lock = os.open(folder / f"{OWNER}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with contextlib.suppress(OSError):  # storage without locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (folder / f"{OWNER}.new").rename(folder / OWNER)  # under this name it is never without its lock
        yield
    finally:
        os.close(lock)


def is_abandoned(folder: Path) -> bool:
    """Whether a folder that had an owner (`owned`) has none any more.

    Raises:
        OSError: When it cannot be read.
    """
    try:
        with _unowned(folder / OWNER) as unowned:
            return unowned
    except FileNotFoundError:
        return time.time() - folder.lstat().st_mtime > UNLOCKED_S


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A new folder below `private_folder` for the duration of the block.

    Raises:
        OSError: When there is no place for it.
    """
    with folder_in(private_folder(), purpose, mode=0o700) as folder:
        yield folder


def private_folder() -> Path:
    """This user's folder in the machine's temporary folder (``$TMPDIR``), which nobody else can enter.

    Raises:
        OSError: It cannot be made, is a link, or belongs to another user.
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
    """Removes what `replacing` and `folder_in` left in a folder when their process was killed; nothing else."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_abandoned(Path(entry.path), entry.stat(follow_symlinks=False))


def _remove_abandoned(path: Path, about: os.stat_result) -> None:
    if stat.S_ISREG(about.st_mode):
        with _unowned(path) as unowned:
            if unowned:
                path.unlink()
    elif stat.S_ISDIR(about.st_mode) and is_abandoned(path):
        shutil.rmtree(path)


@contextlib.contextmanager
def _unowned(path: Path) -> Iterator[bool]:
    """Whether nobody holds the lock of a file; in the block nobody can take it."""
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
    """A new file beside its target, locked by this process where the storage has locks."""
    while True:
        temporary = target.with_name(_name(target.name))
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another process took it for abandoned before it was locked
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
