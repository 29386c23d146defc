"""Parallel, atomic building of clip stores that decodes each video only once.

A build writes to a hidden folder next to the store's final location and renames it when it is complete. Each finished
clip is recorded in a journal. An interrupted build therefore resumes where it stopped, and builds of other stores with
the same preprocessing copy shared clips. A damaged store is repaired in the same way, in place.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.training.data.decoding import VideoError
from agrm_study.training.data.decoding.killable import Failure, KillablePool
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store import journal
from agrm_study.training.data.store.index_file import checksums, write_index
from agrm_study.training.data.store.ingest import Job, store_clip
from agrm_study.training.data.store.journal import Done
from agrm_study.training.data.store.layout import (
    RAW_FILE,
    StoredClip,
    lay_out,
    store_bytes,
    store_key,
)
from agrm_study.training.data.store.lock import locked, locked_if_free
from agrm_study.training.data.store.problems import BadVideos, Problem, manifest_problems
from agrm_study.training.data.store.reuse import copy_duplicates, resume, reuse, stored
from agrm_study.training.data.store.sources import check_sources, stamps_of
from agrm_study.training.data.store.verify import Condition, condition

Progress = Callable[[int, int], None]
STALL_S = 120.0
"""Seconds without a decoded chunk after which decoding of a file is aborted."""
RESERVE = 64 << 20
"""Disk space that a build keeps free, in bytes."""


def build_store(
    manifest: Manifest,
    clip: Clip,
    cache: Path | str,
    *,
    workers: int = 1,
    on_progress: Progress | None = None,
    on_verified: Progress | None = None,
    on_note: Callable[[str], None] | None = None,
    stall_s: float = STALL_S,
) -> Path:
    """Build the store of these clips under `cache`, or verify and repair an existing one, and return its folder.

    All bytes of an existing store are compared with their checksums; damaged clips are decoded again. Videos that were
    modified since the last call are compared with the manifest.

    Args:
        manifest: A manifest of exactly the clips to store.
        clip: The preprocessing.
        cache: Folder of all stores.
        workers: Number of decoding processes.
        on_progress: Called with the number of stored clips and the total number of clips.
        on_verified: Called with the number of verified bytes and the total number of bytes of an existing store.
        on_note: Called with one line about a store that is repaired or replaced.
        stall_s: Seconds without progress after which decoding of a file is aborted.

    Raises:
        BadVideos: If some videos cannot be used; the error lists all of them.
        InputError: If the disk has too little free space for the store.
    """
    cache = Path(cache).absolute()
    key, rows = store_key(manifest, clip), lay_out(manifest.clips, clip)
    final = cache / key
    report, note = on_progress or (lambda done, total: None), on_note or (lambda text: None)
    stamps: dict[str, list[Any]] = {}
    if not _is_sound(final, rows, clip, workers, on_verified):
        if problems := manifest_problems(manifest, clip):
            raise BadVideos(manifest.path, problems)
        with locked(cache / f".{key}.lock"):
            found = condition(final, rows, clip, workers, on_verified) if os.path.lexists(final) else None
            if found is None:
                stamps = _build(manifest, clip, final, workers, report, stall_s)
            elif found.damage:
                note(f"The clip store {final} is damaged ({found.damage}) and is being repaired from the videos.")
                stamps = _repair(manifest, clip, final, workers, report, note, stall_s)
            elif found.dated:
                with suppress(OSError):  # a read-only store is not modified
                    write_index(final, rows, checksums(final, clip.storage), clip)
        _remove_leftovers(cache, key)
    check_sources(manifest, final, stamps, workers)
    report(len(manifest.clips), len(manifest.clips))
    return final


def _is_sound(final: Path, rows: Sequence[StoredClip], clip: Clip, workers: int, on_verified: Progress | None) -> bool:
    return os.path.lexists(final) and condition(final, rows, clip, workers, on_verified) == Condition()


def _repair(
    manifest: Manifest,
    clip: Clip,
    final: Path,
    workers: int,
    report: Progress,
    note: Callable[[str], None],
    stall_s: float,
) -> dict[str, list[Any]]:
    """Decode the damaged clips of a store again, in place; replace a store that cannot be written.

    Running trials that have memory-mapped the store can continue to read it.
    """
    try:
        return _build(manifest, clip, final, workers, report, stall_s, folder=final)
    except OSError as error:
        note(f"The clip store {final} cannot be repaired ({error}) and is being replaced.")
    aside = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}.damaged")
    final.rename(aside)
    if aside.is_dir() and not aside.is_symlink():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.unlink()
    return _build(manifest, clip, final, workers, report, stall_s)


def _build(
    manifest: Manifest,
    clip: Clip,
    final: Path,
    workers: int,
    report: Progress,
    stall_s: float,
    *,
    folder: Path | None = None,
) -> dict[str, list[Any]]:
    """Write the missing clips of a store, in `folder` or in a hidden folder that becomes `final`.

    Returns:
        Size and times of the decoded video files, recorded before they were read (`sources.stamps_of`).
    """
    partial = folder or _partial(final.parent, final.name)
    partial.mkdir(parents=True, exist_ok=True)
    rows = lay_out(manifest.clips, clip)
    try:
        _reserve(partial, manifest, clip)
        finished = resume(partial, rows, clip)
        finished |= reuse(partial, rows, finished, clip)
        total = len(rows)
        report(len(stored(rows, finished)), total)
        jobs = [Job(manifest.by_id[row.clip_id], clip, row, partial) for row in _to_decode(rows, finished)]
        stamps = stamps_of(job.record for job in jobs)
        problems: list[Problem] = []
        with KillablePool(min(workers, max(1, len(jobs))), stall_s=stall_s) as pool:
            for position, result in pool.map_unordered(store_clip, [(job,) for job in jobs]):
                if isinstance(result, Failure):
                    problems.append(_problem(jobs[position], result))
                else:
                    journal.append(partial, result)
                    finished[result.clip_key] = result
                    report(len(stored(rows, finished)), total)
        copy_duplicates(partial, rows, finished, clip)
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
    write_index(partial, rows, finished, clip)
    if folder is None:
        partial.rename(final)
    return stamps


def _to_decode(rows: Sequence[StoredClip], finished: dict[str, Done]) -> Iterator[StoredClip]:
    """One row for each distinct clip content that is not stored yet."""
    seen = set(finished)
    for row in rows:
        if row.clip_key not in seen:
            seen.add(row.clip_key)
            yield row


def _partial(cache: Path, key: str) -> Path:
    return cache / f".{key}.partial"


def _reserve(partial: Path, manifest: Manifest, clip: Clip) -> None:
    """Allocate disk space for the whole store.

    Raises:
        InputError: If the disk has too little free space.
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


def _problem(job: Job, failure: Failure) -> Problem:
    if isinstance(failure.error, OSError) and failure.error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise failure.error
    kind = failure.error.kind if isinstance(failure.error, VideoError) else "unreadable"
    message = str(failure.error) if isinstance(failure.error, VideoError) else failure.message
    return Problem(job.record.clip_id, job.record.subject_id, job.record.path, kind, message)


def _remove_leftovers(cache: Path, key: str) -> None:
    """Delete unfinished stores that no process is building and whose clips are all in the finished store."""
    preprocessing = key.split("-")[0]
    taken = set(journal.read(cache / key))
    for partial in cache.glob(f".{preprocessing}-*.partial"):
        other = partial.name.removeprefix(".").removesuffix(".partial")
        with locked_if_free(cache / f".{other}.lock") as free:
            if free and set(journal.read(partial)) <= taken:
                shutil.rmtree(partial, ignore_errors=True)
