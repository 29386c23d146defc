"""Clips that a build does not decode: clips that are already in its folder or in another store, and duplicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agrm_study.study.recipe import Clip
from agrm_study.training.data.store import journal
from agrm_study.training.data.store.index_file import checksums
from agrm_study.training.data.store.journal import Done
from agrm_study.training.data.store.layout import RAW_FILE, StoredClip, data_file


def stored(rows: Sequence[StoredClip], finished: Mapping[str, Done]) -> list[StoredClip]:
    """Rows of the finished clips."""
    return [row for row in rows if row.clip_key in finished]


def resume(partial: Path, rows: Sequence[StoredClip], clip: Clip) -> dict[str, Done]:
    """Clips that are already in this folder and whose bytes match their checksums."""
    known = checksums(partial, clip.storage)
    wanted = {row.clip_key for row in rows}
    return {
        key: done
        for key, done in known.items()
        if key in wanted and journal.intact(data_file(partial, key, clip.storage), done)
    }


def reuse(partial: Path, rows: Sequence[StoredClip], finished: Mapping[str, Done], clip: Clip) -> dict[str, Done]:
    """Copy missing clips from other finished or unfinished stores with the same preprocessing."""
    missing = {row.clip_key: row for row in rows if row.clip_key not in finished}
    preprocessing = partial.name.lstrip(".").split("-")[0]
    copied: dict[str, Done] = {}
    siblings = [*partial.parent.glob(f"{preprocessing}-*"), *partial.parent.glob(f".{preprocessing}-*.partial")]
    for sibling in siblings:
        if sibling == partial or not missing:
            continue
        for key, done in checksums(sibling, clip.storage).items():
            source = data_file(sibling, key, clip.storage)
            if key not in missing or not journal.intact(source, done):
                continue
            row = missing.pop(key)
            target = data_file(partial, key, clip.storage)
            offset = row.offset if clip.storage == "raw" else 0
            _copy(source, done, target, offset)
            copied[key] = Done(key, offset, done.bytes, done.crc)
            journal.append(partial, copied[key])
    return copied


def copy_duplicates(partial: Path, rows: Sequence[StoredClip], finished: Mapping[str, Done], clip: Clip) -> None:
    """Copy clips with identical content, which are decoded once but have separate offsets in the flat file."""
    if clip.storage == "raw":
        for row in stored(rows, finished):
            done = finished[row.clip_key]
            if done.offset != row.offset:
                _copy(partial / RAW_FILE, done, partial / RAW_FILE, row.offset)


def _copy(source: Path, done: Done, target: Path, offset: int) -> None:
    target.parent.mkdir(exist_ok=True)
    with target.open("r+b" if target.exists() else "wb") as file:
        file.seek(offset)
        for block in journal.blocks(source, done):
            file.write(block)
