"""Before memory is exhausted, the largest worker is stopped, and its trial's failure is classified as out of memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from agrm_study.execution.driver import memory_watchdog
from agrm_study.execution.driver.memory_watchdog import MemoryWatchdog, choose_victim, worker_trees
from agrm_study.execution.resources.memory import MemoryUse

GIB = 2**30
SIZES = {"small": GIB, "large": 4 * GIB, "middle": 2 * GIB}


def use(share: float, place: str = "machine", limit: int = 16 * GIB) -> MemoryUse:
    return MemoryUse(place, limit, int(share * limit))


def test_below_the_threshold_and_without_workers_none_is_ended() -> None:
    assert choose_victim([use(0.94)], SIZES) is None
    assert choose_victim([use(0.99)], {}) is None


def test_the_largest_worker_is_ended_with_a_reason_that_has_the_numbers() -> None:
    victim = choose_victim([use(0.5), use(0.96, "container", 10 * GIB)], SIZES)
    assert victim is not None
    assert victim.trial_id == "large"
    assert "used 4.0 GiB" in victim.reason
    assert "9.6 GiB of the 10.0 GiB of memory of this container" in victim.reason


def test_no_worker_is_ended_for_memory_that_others_hold() -> None:
    assert choose_victim([use(1.0, limit=200 * GIB)], SIZES) is None  # all workers hold 7 of the 10 GiB above 95 %
    assert choose_victim([use(0.98, limit=200 * GIB)], SIZES) is not None


def wait_until(happened: Callable[[], bool], timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def workers() -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Two processes, of which one holds much more memory, and has a child that holds most of it."""
    hold = "import subprocess, sys, time; held = bytearray({} * 2**20); {}print(flush=True); time.sleep(60)"
    child = f"subprocess.Popen([sys.executable, '-c', {hold.format(80, '')!r}], stdout=1); "
    started = {
        name: subprocess.Popen([sys.executable, "-c", hold.format(size, more)], stdout=subprocess.PIPE)
        for name, size, more in (("small", 30, ""), ("large", 10, child))
    }
    for name, process in started.items():
        assert process.stdout is not None
        for _ in range(1 + (name == "large")):
            process.stdout.readline()
    yield started
    for process in started.values():
        for each in worker_trees({"": process.pid}).get("", []):
            each.kill()
        process.kill()
        process.wait()


def test_only_processes_below_this_one_are_workers(workers: dict[str, subprocess.Popen[bytes]]) -> None:
    trees = worker_trees({name: process.pid for name, process in workers.items()} | {"stranger": 1})
    assert {name: len(tree) for name, tree in trees.items()} == {"small": 1, "large": 2}


@pytest.mark.slow
def test_a_real_worker_and_its_children_are_ended_and_no_other(workers: dict[str, subprocess.Popen[bytes]]) -> None:
    pids = {name: process.pid for name, process in workers.items()}
    (tree,) = worker_trees({"large": pids["large"]}).values()

    def uses() -> list[MemoryUse]:
        full = all(process.is_running() for process in tree)
        return [MemoryUse("machine", 1000, 960 if full else 100)]

    with MemoryWatchdog(lambda: pids, uses=uses) as watchdog:
        wait_until(lambda: not any(process.is_running() for process in tree))
        time.sleep(4 * memory_watchdog.LOOK_EVERY_S)
    assert workers["small"].poll() is None
    assert "its worker used 0.1 GiB" in watchdog.take_reason("large")
    assert watchdog.take_reason("large") == ""
    assert watchdog.take_reason("small") == ""


@pytest.mark.slow
def test_the_machines_own_memory_is_watched(workers: dict[str, subprocess.Popen[bytes]]) -> None:
    """A threshold just below what is in use: real readings, a real kill."""
    (machine, *_) = memory_watchdog.memory_uses()
    held = 60 * 2**20
    pids = {name: process.pid for name, process in workers.items()}
    with MemoryWatchdog(lambda: pids, threshold=(machine.used - held) / machine.limit) as watchdog:
        wait_until(lambda: not psutil.pid_exists(pids["large"]))
    assert "of memory of this machine were in use" in watchdog.take_reason("large")


def test_a_kill_by_the_kernel_explains_one_death(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = 3
    monkeypatch.setattr(memory_watchdog, "oom_kills", lambda: kills)
    watchdog = MemoryWatchdog(dict)
    assert watchdog.take_reason("a") == ""
    kills = 4
    assert watchdog.take_reason("a") == "the kernel killed its worker because memory was exhausted"
    assert watchdog.take_reason("b") == ""
