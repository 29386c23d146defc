"""Builds clip stores in parallel, atomically and without decoding a video twice.

A build writes into a hidden folder next to the store's final location and renames it when it is complete. Each finished
clip is recorded in a journal. An interrupted build therefore resumes where it stopped, and other stores with the same
preprocessing copy the clips they share.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.decoding import VideoError
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store import journal
from agrm_study.training.data.store.ingest import Job, store_clip
from agrm_study.training.data.store.journal import Done
from agrm_study.training.data.store.layout import (
    INDEX_FILE,
    RAW_FILE,
    STORE_FILE,
    STORE_VERSION,
    StoredClip,
    data_file,
    lay_out,
    store_bytes,
    store_key,
)
from agrm_study.training.data.store.lock import locked, locked_if_free
from agrm_study.training.data.store.problems import BadVideos, Problem, manifest_problems

Progress = Callable[[int, int], None]
STALL_S = 120.0
"""Seconds without a decoded chunk after which a file is abandoned."""
RESERVE = 64 << 20
"""Disk space that a build leaves free, in bytes."""


def build_store(
    manifest: Manifest,
    clip: Clip,
    cache: Path | str,
    *,
    workers: int = 1,
    on_progress: Progress | None = None,
    stall_s: float = STALL_S,
) -> Path:
    """Build the store of these clips under `cache` unless it exists, and return its folder.

    Args:
        manifest: Exactly the clips to store.
        clip: The preprocessing.
        cache: Folder of all stores.
        workers: Number of decoding processes.
        on_progress: Called with the number of stored clips and the total number of clips.
        stall_s: Seconds without progress after which a file is abandoned.

    Raises:
        BadVideos: Some videos cannot be used; the error lists all of them.
        InputError: The disk has too little free space for the store.
    """
    cache = Path(cache).absolute()
    key = store_key(manifest, clip)
    final = cache / key
    report = on_progress or (lambda done, total: None)
    if not (final / STORE_FILE).is_file():
        if problems := manifest_problems(manifest, clip):
            raise BadVideos(manifest.path, problems)
        with locked(cache / f".{key}.lock"):
            if not (final / STORE_FILE).is_file():
                _build(manifest, clip, final, workers, report, stall_s)
        _remove_leftovers(cache, key)
    report(len(manifest.clips), len(manifest.clips))
    return final


def _build(manifest: Manifest, clip: Clip, final: Path, workers: int, report: Progress, stall_s: float) -> None:
    partial = _partial(final.parent, final.name)
    partial.mkdir(parents=True, exist_ok=True)
    rows = lay_out(manifest.clips, clip)
    try:
        _reserve(partial, manifest, clip)
        finished = _resume(partial, rows, clip) | _reuse(partial, rows, clip)
        total = len(rows)
        report(len(_stored(rows, finished)), total)
        jobs = [Job(manifest.by_id[row.clip_id], clip, row, partial) for row in _to_decode(rows, finished)]
        problems: list[Problem] = []
        with KillablePool(min(workers, max(1, len(jobs))), stall_s=stall_s) as pool:
            for position, result in pool.map_unordered(store_clip, [(job,) for job in jobs]):
                if isinstance(result, Failure):
                    problems.append(_problem(jobs[position], result))
                else:
                    journal.append(partial, result)
                    finished[result.clip_key] = result
                    report(len(_stored(rows, finished)), total)
        _copy_duplicates(partial, rows, finished, clip)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(partial, manifest, clip) from None
        raise
    except InputError:
        with suppress(OSError):
            partial.rmdir()  # succeeds only if the folder is empty
        raise
    if problems:
        order = {record.clip_id: position for position, record in enumerate(manifest.clips)}
        raise BadVideos(manifest.path, sorted(problems, key=lambda each: order[each.clip_id]))
    _write_index(partial, rows, clip)
    partial.rename(final)


def _stored(rows: Sequence[StoredClip], finished: dict[str, Done]) -> list[StoredClip]:
    return [row for row in rows if row.clip_key in finished]


def _to_decode(rows: Sequence[StoredClip], finished: dict[str, Done]) -> Iterator[StoredClip]:
    """One row for each distinct content that is not stored yet."""
    seen = set(finished)
    for row in rows:
        if row.clip_key not in seen:
            seen.add(row.clip_key)
            yield row


def _copy_duplicates(partial: Path, rows: Sequence[StoredClip], finished: dict[str, Done], clip: Clip) -> None:
    """Copy clips with identical content, which are decoded once but have separate offsets in the flat file."""
    if clip.storage == "raw":
        for row in _stored(rows, finished):
            done = finished[row.clip_key]
            if done.offset != row.offset:
                _copy(partial / RAW_FILE, done, partial / RAW_FILE, row.offset)


def _partial(cache: Path, key: str) -> Path:
    return cache / f".{key}.partial"


def _reserve(partial: Path, manifest: Manifest, clip: Clip) -> None:
    """Allocate disk space for the whole store.

    Raises:
        InputError: The disk has too little free space.
    """
    needed = store_bytes(manifest, clip)
    if clip.storage == "jpeg":
        held = sum(file.stat().st_size for file in partial.rglob("*.arrow"))
        if shutil.disk_usage(partial).free + held < needed + RESERVE:
            raise _disk_full(partial, manifest, clip)
        return
    path = partial / RAW_FILE
    held = path.stat().st_blocks * 512 if path.exists() else 0
    if shutil.disk_usage(partial).free + held < needed + RESERVE:
        raise _disk_full(partial, manifest, clip)
    with path.open("ab") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, needed)
        else:
            file.truncate(needed)


def _disk_full(partial: Path, manifest: Manifest, clip: Clip) -> InputError:
    free = shutil.disk_usage(partial).free
    needed = store_bytes(manifest, clip)
    return InputError(
        f"the disk has too little free space for the clip store of {len(manifest.clips)} clips",
        where=partial.parent,
        given=f"{free / 1e9:.2f} GB free",
        allowed=f"at least {(needed + RESERVE) / 1e9:.2f} GB",
        hint="Free disk space, set AGRM_STUDY_CACHE to a folder on a larger disk, reduce clip.resize, or use "
        "clip.storage: jpeg.",
    )


def _resume(partial: Path, rows: Sequence[StoredClip], clip: Clip) -> dict[str, Done]:
    """Clips that an interrupted build of this store has finished and whose bytes match their checksums."""
    known = journal.read(partial)
    wanted = {row.clip_key for row in rows}
    kept = {
        key: done
        for key, done in known.items()
        if key in wanted and _is_intact(data_file(partial, key, clip.storage), done)
    }
    return kept


def _is_intact(path: Path, done: Done) -> bool:
    return path.is_file() and journal.intact(path, done)


def _reuse(partial: Path, rows: Sequence[StoredClip], clip: Clip) -> dict[str, Done]:
    """Copy clips with the same content from other finished or unfinished stores with the same preprocessing."""
    missing = {row.clip_key: row for row in rows}
    for key in journal.read(partial):
        missing.pop(key, None)
    preprocessing = partial.name.lstrip(".").split("-")[0]
    copied: dict[str, Done] = {}
    siblings = [*partial.parent.glob(f"{preprocessing}-*"), *partial.parent.glob(f".{preprocessing}-*.partial")]
    for sibling in siblings:
        if sibling == partial or not missing:
            continue
        for key, done in journal.read(sibling).items():
            source = data_file(sibling, key, clip.storage)
            if key not in missing or not _is_intact(source, done):
                continue
            row = missing.pop(key)
            target = data_file(partial, key, clip.storage)
            offset = row.offset if clip.storage == "raw" else 0
            _copy(source, done, target, offset)
            copied[key] = Done(key, offset, done.bytes, done.crc)
            journal.append(partial, copied[key])
    return copied


def _copy(source: Path, done: Done, target: Path, offset: int) -> None:
    target.parent.mkdir(exist_ok=True)
    with target.open("r+b" if target.exists() else "wb") as file:
        file.seek(offset)
        for block in journal.blocks(source, done):
            file.write(block)


def _problem(job: Job, failure: Failure) -> Problem:
    if isinstance(failure.error, OSError) and failure.error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise failure.error
    kind = failure.error.kind if isinstance(failure.error, VideoError) else "unreadable"
    message = str(failure.error) if isinstance(failure.error, VideoError) else failure.message
    return Problem(job.record.clip_id, job.record.subject_id, job.record.path, kind, message)


def _write_index(partial: Path, rows: Sequence[StoredClip], clip: Clip) -> None:
    names = ("clip_id", "clip_key", "offset", "frames", "height", "width")
    pq.write_table(pa.table({name: [getattr(row, name) for row in rows] for name in names}), partial / INDEX_FILE)
    settings = clip.model_dump(mode="json", include={"fps", "crop", "box_part", "resize", "storage"})
    temporary = partial / f"{STORE_FILE}.tmp"
    temporary.write_text(json.dumps({"version": STORE_VERSION, "clip": settings}, indent=1) + "\n")
    temporary.rename(partial / STORE_FILE)


def _remove_leftovers(cache: Path, key: str) -> None:
    """Delete unfinished stores that no process is building and whose clips are all in the finished store."""
    preprocessing = key.split("-")[0]
    taken = set(journal.read(cache / key))
    for partial in cache.glob(f".{preprocessing}-*.partial"):
        other = partial.name.removeprefix(".").removesuffix(".partial")
        with locked_if_free(cache / f".{other}.lock") as free:
            if free and set(journal.read(partial)) <= taken:
                shutil.rmtree(partial, ignore_errors=True)
