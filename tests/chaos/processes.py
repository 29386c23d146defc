"""Descendant processes of a test, which it may kill.

A test becomes the subreaper of its descendants, so that an orphan remains in its process tree. Processes outside the
tree are not touched.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Process:
    """A living process; ``kind`` is ``driver`` (which runs Tune), ``worker`` or ``ray`` (of Ray's), or ``other``."""

    pid: int
    parent: int
    command: str
    zombie: bool

    @property
    def kind(self) -> str:
        if "agrm_study.execution.driver.child" in self.command:
            return "driver"
        name = self.command.split("\0")[0]
        if name.startswith("ray::") and not name.strip().endswith("Agent"):
            return "worker"
        if self.name == "default_worker.py":  # it has not said yet what it runs
            return "worker"
        return "ray" if name.startswith("ray::") or "/site-packages/ray/" in self.command else "other"

    @property
    def name(self) -> str:
        """What it is, in a word."""
        words = [word.rsplit("/", 1)[-1] for word in self.command.split("\0") if word]
        if words and words[0].startswith("python"):
            words = [word for word in words if word.endswith(".py")] or words
        return words[0] if words else ""

    def kill(self) -> bool:
        """Kills it with SIGKILL; whether it was still there."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def descendants(root: int) -> list[Process]:
    """All processes below one, itself left out; zombies included."""
    below: dict[int, list[Process]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (process := _process(folder)) is not None:
            below.setdefault(process.parent, []).append(process)
    found, waiting = [], [root]
    while waiting:
        children = below.get(waiting.pop(), [])
        found += children
        waiting += [child.pid for child in children]
    return found


def _process(folder: Path) -> Process | None:
    try:
        state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        command = (folder / "cmdline").read_bytes().decode(errors="replace")
    except (OSError, ValueError):
        return None
    return Process(int(folder.name), int(parent), command, state == "Z")


@contextlib.contextmanager
def adopted_orphans() -> Iterator[set[int]]:
    """Orphans become children of this process; those that are left at the end of the block are killed.

    Gives the set of this process's children from before, which are left alone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = {process.pid for process in descendants(os.getpid())}
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield before
    finally:
        for process in remaining(before):
            process.kill()
        wait_until_gone(before, 10.0)
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def remaining(before: set[int]) -> list[Process]:
    """Descendants of this process that still live, those from before left out; dead orphans are buried."""
    living = []
    for process in descendants(os.getpid()):
        if process.pid in before:
            continue
        if process.zombie:
            if process.parent == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        elif "resource_tracker" not in process.command:
            living.append(process)
    return living


def wait_until_gone(before: set[int], timeout_s: float) -> list[Process]:
    """What is left after some time; returns as soon as nothing is."""
    end = time.monotonic() + timeout_s
    while (left := remaining(before)) and time.monotonic() < end:
        time.sleep(0.1)
    return left
