"""Watchdog that kills the largest worker before this machine runs out of memory, and detects out-of-memory kills.

Ray's own memory monitor raises an error that aborts the whole Tune run, and may kill a small worker. It is disabled for
a local Ray instance; instead the largest worker is killed, and its trial loses the epochs since its last checkpoint.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import psutil

from agrm_study.execution.resources.memory import MemoryUse, memory_uses, oom_kills

THRESHOLD: Final = 0.95
"""Fraction of memory in use at which a worker is killed."""
LOOK_EVERY_S: Final = 0.25
SETTLE_S: Final = 2.0
"""Seconds to wait until the memory of a killed process has been freed."""


class Victim(NamedTuple):
    """The trial whose worker is to be killed, and the reason to record for its failure."""

    trial_id: str
    reason: str


def choose_victim(uses: Sequence[MemoryUse], sizes: Mapping[str, int], threshold: float = THRESHOLD) -> Victim | None:
    """The largest worker, if memory use exceeds a threshold and killing workers can free the excess.

    Args:
        uses: Memory use of the machine and of the containers that this process runs in.
        sizes: Bytes of memory that the worker of each trial uses.
        threshold: Fraction of memory in use at which a worker is killed.
    """
    for use in uses:
        excess = use.used - threshold * use.limit
        if sizes and 0 <= excess <= sum(sizes.values()):
            largest = max(sizes, key=lambda trial_id: (sizes[trial_id], trial_id))
            held, used, limit = (f"{size / 2**30:.1f} GiB" for size in (sizes[largest], use.used, use.limit))
            place = f"memory of this {use.place}"
            return Victim(
                largest, f"its worker used {held} and was stopped because {used} of the {limit} of {place} were in use"
            )
    return None


class MemoryWatchdog:
    """Watches the memory of this machine in a thread, within a ``with`` block.

    Args:
        workers: Returns the process id of the worker of each running trial on this machine; called in the watchdog's
            thread, only when memory runs low.
    """

    def __init__(
        self,
        workers: Callable[[], Mapping[str, int]],
        *,
        threshold: float = THRESHOLD,
        uses: Callable[[], Sequence[MemoryUse]] = memory_uses,
    ) -> None:
        self._workers, self._threshold, self._uses = workers, threshold, uses
        self._reasons: dict[str, str] = {}
        self._kernel_kills = oom_kills()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory-watchdog", daemon=True)

    def __enter__(self) -> MemoryWatchdog:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(SETTLE_S)

    def take_reason(self, trial_id: str) -> str:
        """Description of how a dead worker ran out of memory; empty if it died for a different reason.

        A kill by the kernel explains one death: the first death queried after the kernel has counted the kill.
        """
        if reason := self._reasons.pop(trial_id, ""):
            return reason
        if oom_kills() <= self._kernel_kills:
            return ""
        self._kernel_kills += 1
        return "the kernel killed its worker because memory was exhausted"

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            uses = self._uses()
            if max(use.share for use in uses) >= self._threshold:
                self._end_largest(uses)

    def _end_largest(self, uses: Sequence[MemoryUse]) -> None:
        trees = worker_trees(self._workers())
        victim = choose_victim(uses, {trial_id: _size(tree) for trial_id, tree in trees.items()}, self._threshold)
        if victim is None:
            return
        self._reasons[victim.trial_id] = victim.reason
        for process in trees[victim.trial_id]:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(trees[victim.trial_id], timeout=SETTLE_S)


def worker_trees(workers: Mapping[str, int]) -> dict[str, list[psutil.Process]]:
    """The processes of each worker that descends from this process: the worker first, then its own descendants.

    Process ids that were reused by unrelated processes are excluded.
    """
    below = {process.pid: process for process in psutil.Process().children(recursive=True)}
    trees = {}
    for trial_id, pid in workers.items():
        if pid in below:
            with contextlib.suppress(psutil.Error):
                trees[trial_id] = [below[pid], *below[pid].children(recursive=True)]
    return trees


def _size(tree: Sequence[psutil.Process]) -> int:
    """Bytes freed when these processes end: memory that they do not share, excluding mapped files."""
    total = 0
    for process in tree:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_info()
            total += memory.rss - getattr(memory, "shared", 0)
    return total
