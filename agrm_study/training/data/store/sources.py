"""Detection of videos that were replaced after their clips were stored.

A store records the size and times of each video file whose checksum was verified, so that a run rereads only files that
were modified afterwards. A missing video is not a problem, since the store contains its frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from agrm_study.study.temporary import replacing
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store.ingest import CHANGED, file_checksum
from agrm_study.training.data.store.problems import BadVideos, Problem

SOURCES_FILE = "sources.json"

Stamps = Mapping[str, list[Any]]
"""Path, size, modification time and change time (ns) of each video file, by clip."""


def stamps_of(records: Iterable[ClipRecord]) -> dict[str, list[Any]]:
    """Path, size and times of the video files that exist, by clip."""
    found: dict[str, list[Any]] = {}
    for record in records:
        with suppress(OSError):
            found[record.clip_id] = [str(record.path), *_stamp(record.path)]
    return found


def _stamp(path: Path) -> tuple[int, int, int]:
    """Total size and latest times of a file, or of a folder of images and all its files."""
    about = [path.stat(), *(each.stat() for each in (path.iterdir() if path.is_dir() else ()))]
    times = (max(each.st_mtime_ns for each in about), max(each.st_ctime_ns for each in about))
    return sum(each.st_size for each in about), *times


def check_sources(manifest: Manifest, store: Path, verified: Stamps, workers: int = 1) -> None:
    """Compare videos that were modified since their last verification with the manifest's checksums.

    Args:
        manifest: The clips of the store.
        store: Folder of the store, which records the verified files.
        verified: Files that this build has verified, with their state before they were read.
        workers: Number of reader threads.

    Raises:
        BadVideos: If videos have changed since they were indexed.
    """
    remembered = _read(store)
    trusted = remembered | dict(verified)
    now = stamps_of(manifest.clips)
    suspects = [
        record
        for record in manifest.clips
        if record.clip_id in now and trusted.get(record.clip_id) != now[record.clip_id]
    ]
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="videos") as pool:
        problems = [problem for problem in pool.map(_changed, suspects) if problem is not None]
    unchanged = now.keys() - {problem.clip_id for problem in problems}
    latest = remembered | {clip_id: now[clip_id] for clip_id in unchanged}
    if latest != remembered:
        with suppress(OSError), replacing(store / SOURCES_FILE) as file:  # read-only store: reread next time
            file.write(json.dumps(latest, indent=0).encode())
    if problems:
        raise BadVideos(manifest.path, problems)


def _changed(record: ClipRecord) -> Problem | None:
    try:
        if file_checksum(record.path) == record.checksum:
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        return Problem(record.clip_id, record.subject_id, record.path, "unreadable", str(error.strerror))
    return Problem(record.clip_id, record.subject_id, record.path, "changed", CHANGED)


def _read(store: Path) -> dict[str, list[Any]]:
    try:
        found = json.loads((store / SOURCES_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
