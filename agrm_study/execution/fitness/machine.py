"""Checks of processors, memory, shared memory, open files, the clock, and the requirements of a local Ray instance."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from agrm_study.execution.fitness.finding import Finding, note, ok, problem
from agrm_study.execution.provenance import available_cpus
from agrm_study.execution.resources.memory import memory_uses, tightest
from agrm_study.execution.resources.ray_folder import LONGEST_PLACE, NoRayFolder, make_ray_folder, remove_ray_folder

LEAST_MEMORY_GIB: Final = 4.0
LEAST_FREE_GIB: Final = 2.0
LEAST_FILES: Final = 1024
GOOD_FILES: Final = 4096
LEAST_SHARED_MIB: Final = 128
"""Minimum size of shared memory in MiB; it contains Ray's object store, which is limited to 80 MiB."""
BUILT: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""A clock that shows an earlier time is wrong."""


def check_processors() -> Iterator[Finding]:
    """Processors that this process may use, compared with the processors of the machine and of its container."""
    usable, whole = available_cpus(), os.cpu_count() or 1
    limit = cgroup_processors()
    text = f"{usable} usable" + (f" of {whole}" if whole != usable else "")
    if limit is not None and limit + 0.05 < usable:
        advice = f"Run with `--slots {max(1, int(limit))}`: more concurrent trials only slow each other down."
        yield note("processors", f"{text}, but the container may use only {limit:g}", advice)
    else:
        yield ok("processors", text)


def cgroup_processors(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Number of processors in the container's quota; ``None`` if there is no quota."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def check_memory() -> Iterator[Finding]:
    """Memory of the machine, or of its container if the container has less."""
    use = tightest(memory_uses())
    whole, free = use.limit / 2**30, (use.limit - use.used) / 2**30
    text = f"{free:.1f} of {whole:.1f} GiB free" + (" (limit of the container)" if use.place == "container" else "")
    if free < LEAST_FREE_GIB:
        yield problem("memory", text, f"A trial needs about {LEAST_FREE_GIB:g} GiB: close other programs first.")
    elif whole < LEAST_MEMORY_GIB:
        yield note("memory", text, "Run one trial at a time (`--slots 1`).")
    else:
        yield ok("memory", text)


def check_shared_memory(place: Path = Path("/dev/shm")) -> Iterator[Finding]:  # noqa: S108 - used by Ray
    """Space for Ray's object store in shared memory."""
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        yield note("shared memory", f"there is no {place}", "Ray stores its objects in /tmp instead, which is slower.")
        return
    text = f"{usage.free / 2**20:.0f} MiB free in {place}"
    if usage.free < LEAST_SHARED_MIB * 2**20:
        advice = "Start the container with more (`docker run --shm-size=1g`); otherwise, Ray uses the slower /tmp."
        yield note("shared memory", text, advice)
    else:
        yield ok("shared memory", text)


def check_open_files() -> Iterator[Finding]:
    """Limit on the number of open files; Ray opens many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"at most {_count(soft)} at once" + (f" (may be raised to {_count(hard)})" if hard != soft else "")
    if soft < LEAST_FILES and hard < LEAST_FILES:
        yield problem("open files", text, "Raise the limit (`ulimit -Hn` as root, or limits.conf): Ray needs 1024.")
    elif soft < GOOD_FILES:
        yield note("open files", text, f"Run `ulimit -n {GOOD_FILES}` before a study with many concurrent trials.")
    else:
        yield ok("open files", text)


def _count(limit: int) -> str:
    return "any number" if limit == resource.RLIM_INFINITY else str(limit)


def check_clock() -> Iterator[Finding]:
    """Whether the clock is plausible; estimates of the time left and ages of updates depend on it."""
    now = datetime.now(UTC)
    text = f"{now:%Y-%m-%d %H:%M:%S} UTC, local time {time.strftime('%H:%M %Z')}"
    if now < BUILT:
        yield note("clock", text, "The clock is behind: set it, or times in records will be wrong.")
    else:
        yield ok("clock", text)


LEAST_THREADS: Final = 400
"""Threads needed by a local Ray instance with one worker and by the libraries that a worker imports."""


def check_ray_start() -> Iterator[Finding]:
    """Whether a local Ray instance has a folder, the loopback interface and enough threads."""
    yield _check_folder()
    yield _check_loopback()
    yield _check_threads()


def _check_folder() -> Finding:
    try:
        folder = make_ray_folder()
    except NoRayFolder as error:
        advice = f"Set RAY_TMPDIR to a writable folder on a local disk, of at most {LONGEST_PLACE} characters."
        return problem("ray folder", f"no location for Ray's sockets and logs: {error}", advice)
    remove_ray_folder(folder)
    return ok("ray folder", f"private, in {folder.parent}")


def _check_loopback() -> Finding:
    """Whether two processes of this machine can communicate over 127.0.0.1."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5.0).close()
    except OSError as error:
        text = f"127.0.0.1 cannot be used ({error.strerror or error})"
        return problem("loopback", text, "Bring the interface up: `ip link set lo up`.")
    return ok("loopback", "127.0.0.1 is reachable")


def _check_threads() -> Finding:
    """Whether the limits on processes and threads are sufficient for Ray's threads."""
    rooms = {name: limit - used for name, limit, used in _thread_limits()}
    if not rooms:
        return ok("threads", "no limit")
    name = min(rooms, key=lambda name: rooms[name])
    text = f"{max(0, rooms[name])} more may be started ({name})"
    if rooms[name] < LEAST_THREADS:
        advice = (
            f"Ray needs {LEAST_THREADS}: raise the limit (`ulimit -u`, `docker run --pids-limit`), or stop processes."
        )
        return problem("threads", text, advice)
    return ok("threads", text)


def _thread_limits(group: Path = Path("/sys/fs/cgroup")) -> Iterator[tuple[str, int, int]]:
    """Name, value and current use of each limit on the number of threads."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.getuid() != 0:  # the kernel does not enforce it for root
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
