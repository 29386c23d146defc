"""Notices when the raylet or the GCS of a Ray that this process started has died.

The callback of Tune's loop asks for it (`dead_parts`) and ends the run in order. A call into Ray that waits for a dead
raylet or GCS does not come back for a minute or longer, so a thread ends the process when the run does not end.
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
    """Vital parts of the Ray that this process started that have died; empty for a cluster of others.

    Tune would wait for them without end. A cluster of others may come back.
    """
    return [] if _watched is None else _watched.dead()


@contextlib.contextmanager
def watched_ray() -> Iterator[None]:
    """Watches the Ray that is started in the block; where the block hangs as Ray has died, the process ends with 1."""
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
