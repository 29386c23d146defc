"""Disk use of a results folder, by kind of file."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from agrm_study.records.evaluations import EXTERNAL, ROBUSTNESS
from agrm_study.records.integrity import WEIGHTS
from agrm_study.records.location import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUse:
    """Disk use of a results folder in bytes.

    Attributes:
        records: Records of trials and splits.
        weights: Best weights, which `export` and `explain` read, including weights of unfinished trials.
        checkpoints: Rolling checkpoints of unfinished trials.
        stages: Training states shared by trials.
        other: Tables, figures and files that describe the study.
    """

    records: int
    weights: int
    checkpoints: int
    stages: int
    other: int


def disk_use(results: str | Path | Location) -> DiskUse:
    """Disk use of a results folder, computed from the sizes of its files; links are not followed.

    Raises:
        OSError: If the object store does not respond.
    """
    sums = dict.fromkeys(("records", "weights", "checkpoints", "stages", "other"), 0)
    for name, size in file_sizes(Location.of(results)).items():
        sums[_kind(name)] += size
    return DiskUse(**sums)


def file_sizes(folder: Location) -> dict[str, int]:
    """Size in bytes of every file below a folder, by path relative to it; empty if the folder does not exist."""
    if folder.is_local:
        return _local_sizes(Path(folder.path))
    found = folder.filesystem.get_file_info(fs.FileSelector(folder.path, allow_not_found=True, recursive=True))
    return {
        info.path.removeprefix(f"{folder.path}/"): info.size or 0 for info in found if info.type == fs.FileType.File
    }


def _local_sizes(root: Path) -> dict[str, int]:
    sizes = {}
    for folder, _, names in os.walk(root):
        place = Path(folder)
        for name in names:
            with contextlib.suppress(OSError):  # the file was removed in the meantime
                sizes[(place / name).relative_to(root).as_posix()] = (place / name).lstat().st_size
    return sizes


def _kind(name: str) -> str:
    top, *_, last = name.split("/") if "/" in name else ("", name)
    if top == "checkpoints" and last == WEIGHTS:
        return "weights"
    if top in (EXTERNAL, ROBUSTNESS) and "/records/" in name:
        return "records"
    return top if top in ("records", "checkpoints", "stages") else "other"
