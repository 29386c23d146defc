"""File locks that let concurrent runs build a shared artefact once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_S = 0.2
"""Seconds between attempts to acquire a lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, blocking until it is free; the lock is also released if the process dies."""
    file = _open(path)
    try:
        while not _try(file):
            time.sleep(POLL_S)
        yield
    finally:
        os.close(file)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Try to acquire an exclusive lock on a file without blocking, and yield whether it was acquired."""
    file = _open(path)
    try:
        yield _try(file)
    finally:
        os.close(file)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _try(file: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
