"""Memory limits and OOM kills are read from Linux files, for every kind of container."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agrm_study.execution.resources import memory
from agrm_study.execution.resources.memory import MemoryUse, memory_uses, oom_kills, tightest

GIB = 2**30


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A process file system without containers."""
    folder = tmp_path / "proc"
    (folder / "self").mkdir(parents=True)
    (folder / "vmstat").write_text("nr_free_pages 1\noom_kill 7\n")
    return folder


def container(proc: Path, tmp_path: Path, version: int, path: str = "/slice/job") -> Path:
    """The folder of this process's cgroup in a hierarchy of this version."""
    mount = tmp_path / "cgroup"
    kind, options, number, controllers = (
        ("cgroup2", "rw", "0", "") if version == 2 else ("cgroup", "rw,memory", "4", "memory")
    )
    (proc / "self" / "mountinfo").write_text(f"35 31 0:32 / {mount} rw,relatime shared:9 - {kind} {kind} {options}\n")
    (proc / "self" / "cgroup").write_text(f"{number}:{controllers}:{path}\n")
    folder = mount / path.lstrip("/")
    folder.mkdir(parents=True)
    return folder


def limits(folder: Path, version: int, limit: int | str, used: int, cache: int) -> None:
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    key = "inactive_file" if version == 2 else "total_inactive_file"
    (folder / "memory.stat").write_text(f"anon 1\n{key} {cache}\n")


def test_a_machine_without_containers_counts_what_the_kernel_cannot_take_back(proc: Path) -> None:
    (use,) = memory_uses(proc)
    whole = psutil.virtual_memory()
    assert (use.place, use.limit) == ("machine", whole.total)
    assert abs(use.used - (whole.total - whole.available)) < GIB
    assert oom_kills(proc) == 7


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_counts_with_its_limit_without_its_file_cache(proc: Path, tmp_path: Path, version: int) -> None:
    folder = container(proc, tmp_path, version)
    limits(folder, version, GIB, 3 * GIB // 4, GIB // 4)
    assert memory_uses(proc)[1:] == [MemoryUse("container", GIB, GIB // 2)]
    assert memory_uses(proc)[1].share == 0.5


@pytest.mark.parametrize(("version", "none"), [(1, 9223372036854771712), (2, "max")])
def test_the_limits_of_all_containers_around_count_and_no_limit_is_none(
    proc: Path, tmp_path: Path, version: int, none: int | str
) -> None:
    folder = container(proc, tmp_path, version)
    limits(folder, version, none, GIB // 8, 0)
    limits(folder.parent, version, GIB // 2, GIB // 4, 0)
    assert memory_uses(proc)[1:] == [MemoryUse("container", GIB // 2, GIB // 4)]


def test_a_path_of_another_namespace_means_the_mounted_container(proc: Path, tmp_path: Path) -> None:
    folder = container(proc, tmp_path, 2, "/")
    (proc / "self" / "cgroup").write_text("0::/somewhere/else\n")
    limits(folder, 2, GIB, GIB // 2, 0)
    assert memory_uses(proc)[1:] == [MemoryUse("container", GIB, GIB // 2)]


@pytest.mark.parametrize(("version", "name"), [(1, "memory.oom_control"), (2, "memory.events")])
def test_the_containers_own_count_of_kills_is_preferred_to_the_machines(
    proc: Path, tmp_path: Path, version: int, name: str
) -> None:
    folder = container(proc, tmp_path, version)
    (folder / name).write_text("oom 3\noom_kill 2\n")
    assert oom_kills(proc) == 2


def test_the_use_that_leaves_the_fewest_bytes_is_the_tightest() -> None:
    machine, box = MemoryUse("machine", 64 * GIB, 62 * GIB), MemoryUse("container", 4 * GIB, 3 * GIB)
    assert tightest([machine, box]) == box


@pytest.fixture
def small_container() -> Iterator[Path]:
    """A cgroup of 64 MiB for one process, where this user may make one."""
    mount = memory._mount_of(memory.PROC)
    folder = (mount or Path("/nowhere")) / f"agrm-study-test-{os.getpid()}"
    try:
        folder.mkdir()
        limit = folder / ("memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes")
        limit.write_text(str(64 * 2**20))
    except OSError:
        pytest.skip("no cgroup can be made here")
    yield folder
    end = time.monotonic() + 5
    while folder.exists() and time.monotonic() < end:
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.1)


@pytest.mark.slow
def test_a_real_kill_by_the_kernel_is_counted(small_container: Path) -> None:
    script = (
        "import os, sys\n"
        f"open({str(small_container / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        "from agrm_study.execution.resources.memory import oom_kills\n"
        "before = oom_kills()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    open('/proc/self/oom_score_adj', 'w').write('1000')\n"
        "    held = bytearray(128 * 2**20)\n"
        "    os._exit(0)\n"
        "_, status = os.waitpid(child, 0)\n"
        "print(os.waitstatus_to_exitcode(status), oom_kills() > before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["-9", "True"], done.stderr
