"""Conditions on this machine without which a local Ray does not start, each with a remedy."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from agrm_study.execution.fitness.finding import Finding, ok, problem
from agrm_study.execution.resources.ray_folder import LONGEST_PLACE, NoRayFolder, make_ray_folder, remove_ray_folder

LEAST_THREADS: Final = 400
"""Threads of a local Ray with one worker, and room for the libraries that a worker imports."""


def check_ray_start() -> Iterator[Finding]:
    """Whether a local Ray has a folder, the loopback interface and enough threads."""
    yield _check_folder()
    yield _check_loopback()
    yield _check_threads()


def _check_folder() -> Finding:
    try:
        folder = make_ray_folder()
    except NoRayFolder as error:
        advice = f"Set RAY_TMPDIR to a writable folder on a local disk, of at most {LONGEST_PLACE} characters."
        return problem("ray folder", f"no place for Ray's sockets and logs: {error}", advice)
    remove_ray_folder(folder)
    return ok("ray folder", f"private, in {folder.parent}")


def _check_loopback() -> Finding:
    """Whether a process of this machine can reach another one by 127.0.0.1."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5.0).close()
    except OSError as error:
        text = f"127.0.0.1 cannot be used ({error.strerror or error})"
        return problem("loopback", text, "Bring the interface up: `ip link set lo up`.")
    return ok("loopback", "127.0.0.1 answers")


def _check_threads() -> Finding:
    """Whether the limits of processes and threads leave room for Ray's."""
    rooms = {name: limit - used for name, limit, used in _thread_limits()}
    if not rooms:
        return ok("threads", "no limit")
    name = min(rooms, key=lambda name: rooms[name])
    text = f"{max(0, rooms[name])} more may be started ({name})"
    if rooms[name] < LEAST_THREADS:
        advice = f"Ray needs {LEAST_THREADS}: raise the limit (`ulimit -u`, `docker run --pids-limit`), or end others."
        return problem("threads", text, advice)
    return ok("threads", text)


def _thread_limits(group: Path = Path("/sys/fs/cgroup")) -> Iterator[tuple[str, int, int]]:
    """Name, limit and use of each limit of threads."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.getuid() != 0:  # the kernel does not count those of root
        yield "ulimit -u", soft, _own_threads()
    for folder in (group, group / "pids"):
        with contextlib.suppress(OSError, ValueError):  # no such limit, or "max"
            limit = int((folder / "pids.max").read_text())
            yield "limit of the container", limit, int((folder / "pids.current").read_text())


def _own_threads() -> int:
    total = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == os.getuid():
                total += process.num_threads()
    return total
