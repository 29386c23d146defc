"""Memory of this machine and of the container in which this process runs: limit, usage and OOM kills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

PROC: Final = Path("/proc")
_V2: Final = ("memory.max", "memory.current", "inactive_file")
_V1: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Limit and use in bytes; memory that the kernel can reclaim from its file cache does not count as used."""

    place: str
    limit: int
    used: int

    @property
    def share(self) -> float:
        """Used fraction of the limit, from 0 to 1."""
        return self.used / self.limit


def memory_uses(proc: Path = PROC) -> list[MemoryUse]:
    """Memory use of the machine, and of each container (cgroup v1 or v2) that limits the memory of this process."""
    whole = psutil.virtual_memory()
    uses = [MemoryUse("machine", whole.total, whole.total - whole.available)]
    for folder in _cgroups(proc):
        use = _container_use(folder)
        if use is not None and use.limit < whole.total:
            uses.append(use)
    return uses


def tightest(uses: list[MemoryUse]) -> MemoryUse:
    """The entry with the fewest free bytes."""
    return min(uses, key=lambda use: use.limit - use.used)


def oom_kills(proc: Path = PROC) -> int:
    """Number of processes killed by the kernel for lack of memory, in this process's container or on the machine.

    A container's own counter is preferred, since the counter of the machine includes processes outside the container.
    """
    for folder in _cgroups(proc):
        for name in ("memory.events", "memory.oom_control"):
            count = _keyed(folder / name).get("oom_kill")
            if count is not None:
                return count
        break  # each kill is counted in the container of the process
    return _keyed(proc / "vmstat").get("oom_kill", 0)


def _container_use(folder: Path) -> MemoryUse | None:
    """Limit and use of one cgroup; ``None`` if it has no limit."""
    for limit_name, used_name, cache_name in (_V2, _V1):
        try:
            limit, used = int((folder / limit_name).read_text()), int((folder / used_name).read_text())
        except (OSError, ValueError):
            continue  # a file of the other cgroup version, or "max"
        cache = _keyed(folder / "memory.stat").get(cache_name, 0)
        return MemoryUse("container", limit, max(0, used - cache)) if limit > 0 else None
    return None


def _cgroups(proc: Path) -> Iterator[Path]:
    """Folders of the cgroups that limit this process's memory, from its own cgroup up to the root."""
    mount = _mount_of(proc)
    if mount is None:
        return
    folder = _own_folder(proc, mount)
    yield folder
    while folder != mount and folder != folder.parent:
        folder = folder.parent
        yield folder


def _mount_of(proc: Path) -> Path | None:
    """Mount point of the hierarchy that limits memory: v1 if it exists, since v2 then has no memory limits."""
    found: dict[str, Path] = {}
    for line in _lines(proc / "self" / "mountinfo"):
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2) if right.count(" ") >= 2 else ("", "", "")
        if kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(",")):
            found.setdefault(kind, Path(left.split(" ")[4]))
    return found.get("cgroup") or found.get("cgroup2")


def _own_folder(proc: Path, mount: Path) -> Path:
    """Folder of this process's cgroup; the mount itself if the path belongs to a different namespace."""
    own: dict[str, str] = {}
    for line in _lines(proc / "self" / "cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0" or "memory" in controllers.split(","):
            own["cgroup2" if number == "0" else "cgroup"] = path
    folder = mount / (own.get("cgroup") or own.get("cgroup2", "")).lstrip("/")
    return folder if folder.is_dir() else mount


def _keyed(file: Path) -> dict[str, int]:
    """Values of a kernel file with lines ``key value``, by key; empty if it cannot be read."""
    pairs = (line.split() for line in _lines(file))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
