"""Detection of a dead raylet or GCS of a Ray instance that this process started.

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
"""Ray processes without which no trial can run."""
LOOK_EVERY_S: Final = 0.5
GRACE_S: Final = 5.0
"""Seconds that the main thread has to end the run cleanly once one of these processes has died."""

_vital: dict[str, psutil.Process] = {}


def dead_parts() -> list[str]:
    """Vital processes of the Ray instance started here that have died; empty for an external cluster.

    Tune would wait for them indefinitely. An external cluster may recover.
    """
    return [name for name, process in tuple(_vital.items()) if not _lives(process)]


@contextlib.contextmanager
def watched_ray() -> Iterator[None]:
    """Watches the Ray instance started in the block; if the block hangs after Ray has died, the process exits."""
    over, before = threading.Event(), set(psutil.Process().children())
    threading.Thread(target=_watch, args=(over, before), name="ray-watch", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        _vital.clear()


def _watch(over: threading.Event, before: set[psutil.Process]) -> None:
    while not over.wait(LOOK_EVERY_S):
        if len(_vital) < len(VITAL):
            for process in set(psutil.Process().children()) - before:
                with contextlib.suppress(psutil.Error):
                    if (name := process.name()) in VITAL:
                        _vital.setdefault(name, process)
        if dead := dead_parts():
            if not over.wait(GRACE_S):
                _end(dead)
            return


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def _end(dead: list[str]) -> None:
    """Kills this process and all of its descendants, including Ray's workers."""
    print(f"Ray stopped on this machine ({', '.join(dead)} died)", file=sys.stderr, flush=True)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    os._exit(1)
