"""Detection of a dead raylet or GCS of a Ray that this process started.

The callback of Tune's loop checks `dead_parts` and ends the run cleanly. A call into Ray that waits for a dead raylet
or GCS can block for a minute or longer, so a thread ends the process if the run does not end.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Final

import psutil

VITAL: Final = ("raylet", "gcs_server")
"""Processes of Ray without which no trial runs."""
LOOK_EVERY_S: Final = 0.5
GRACE_S: Final = 5.0
"""Seconds in which the main thread may end the run in order, once a part has died."""


class RayProcesses:
    """The vital processes of a Ray that this process starts, found among its children by their names."""

    def __init__(self) -> None:
        self._started_before = set(psutil.Process().children())
        self._seen: dict[str, psutil.Process] = {}

    def dead(self) -> list[str]:
        """Names of the vital processes that have started and died."""
        if len(self._seen) < len(VITAL):
            for process in set(psutil.Process().children()) - self._started_before:
                with contextlib.suppress(psutil.Error):
                    if (name := process.name()) in VITAL:
                        self._seen.setdefault(name, process)
        return [name for name, process in self._seen.items() if not _lives(process)]

    def kill(self) -> None:
        """Ends everything that this process has started, Ray's workers included."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()


_watched: RayProcesses | None = None


def dead_parts() -> list[str]:
    """Vital processes of the Ray started here that have died; empty for an external cluster.

    Tune would wait for them forever. An external cluster may recover.
    """
    return [] if _watched is None else _watched.dead()


@contextlib.contextmanager
def watched_ray() -> Iterator[None]:
    """Watches the Ray started in the block; if the block hangs because Ray has died, the process exits with 1."""
    global _watched
    over = threading.Event()
    _watched = processes = RayProcesses()
    threading.Thread(target=_watch, args=(processes, over), name="ray-watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        _watched = None


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _watch(processes: RayProcesses, over: threading.Event) -> None:
    while not over.wait(LOOK_EVERY_S):
        if dead := processes.dead():
            if not over.wait(GRACE_S):
                _end(dead, processes)
            return


def _end(dead: list[str], processes: RayProcesses) -> None:
    print(f"Ray has ended on this machine ({', '.join(dead)} died)", file=sys.stderr, flush=True)
    processes.kill()
    os._exit(1)
