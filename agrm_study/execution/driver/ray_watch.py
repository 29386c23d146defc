"""What if a part of the local Ray dies without which nothing goes on, and this process hangs waiting for it?

The callback of Tune's loop notices such a death (`ray_session.dead_parts`) and ends the run in order. But a call into
Ray that waits for a dead raylet or GCS does not come back: Ray ends the process a minute later, with a line about its
own insides. A thread is therefore quicker.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from agrm_study.execution.driver.executor import GOES_ON
from agrm_study.execution.driver.patching import patched_attribute

VITAL: Final = ("raylet", "gcs_server")
"""Processes of Ray without which no trial runs."""
LOOK_EVERY_S: Final = 0.5
GRACE_S: Final = 20.0
"""Seconds in which the main thread may end the run in order, once a part has died."""
SHOW_CURSOR: Final = "\x1b[?25h"


@contextlib.contextmanager
def watched_ray() -> Iterator[None]:
    """Watches the Ray that is started in the block; where the block hangs as Ray has died, the process ends with 1."""
    from ray._private.node import Node

    nodes: list[Any] = []
    make = Node.__init__

    def noted(self: Any, *args: Any, **options: Any) -> None:
        nodes.append(self)
        make(self, *args, **options)

    over = threading.Event()
    with patched_attribute(Node, "__init__", noted):
        threading.Thread(target=_watch, args=(nodes, over), name="ray-watch", daemon=True).start()
        try:
            yield
        finally:
            over.set()


def dead_among(nodes: Sequence[Any]) -> list[str]:
    """The vital parts of these nodes that have died; those that Ray has ended itself are not among them."""
    known = [node for node in nodes if getattr(node, "all_processes", None)]
    return [name for node in known for name, _ in node.dead_processes() if name in VITAL]


def _watch(nodes: Sequence[Any], over: threading.Event) -> None:
    while not over.wait(LOOK_EVERY_S):
        try:
            dead = dead_among(nodes)
        except RuntimeError:  # the node was just adding a process
            continue
        if dead:
            if not over.wait(GRACE_S):
                _end(dead, nodes)
            return


def _end(dead: Sequence[str], nodes: Sequence[Any]) -> None:
    cursor = SHOW_CURSOR if sys.stderr.isatty() else ""
    sys.stderr.write(f"{cursor}error: Ray has ended on this machine ({', '.join(dead)} died). {GOES_ON}\n")
    sys.stderr.flush()
    for node in nodes:
        with contextlib.suppress(Exception):
            node.kill_all_processes(check_alive=False, allow_graceful=False)
    os._exit(1)
