"""Parallel verification of a store on disk against its checksums."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.study.temporary import replacing
from agrm_study.training.data.store import journal
from agrm_study.training.data.store.index_file import (
    CHECKSUM,
    PLACE,
    checksums,
    read_index,
    read_settings,
    settings_of,
)
from agrm_study.training.data.store.journal import Done
from agrm_study.training.data.store.layout import STORE_FILE, StoredClip, data_file, has_store

TRUSTED_S: Final = 6 * 3600.0
"""Seconds for which a node trusts a verified copy whose files have not been modified since."""
OnBytes = Callable[[int, int], None]
"""Progress callback: bytes verified so far, total bytes."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition of a store.

    Attributes:
        damage: Description of the damage; empty for an intact store.
        dated: Whether the index lacks checksums (stores written by version 0.1.0).
    """

    damage: str = ""
    dated: bool = False


def condition(
    folder: Path, rows: Sequence[StoredClip], clip: Clip, workers: int = 1, on_bytes: OnBytes | None = None
) -> Condition:
    """Compare a store with its expected clips, and all its bytes with their checksums.

    Args:
        folder: Folder of the store.
        rows: The expected clips.
        clip: The preprocessing.
        workers: Number of reader threads.
        on_bytes: Progress callback.
    """
    if not has_store(folder):
        return Condition(f"{STORE_FILE} is missing")
    try:
        settings, columns = read_settings(folder), read_index(folder)
    except InputError as error:
        return Condition(error.rule)
    if settings != settings_of(clip):
        return Condition("its settings belong to a different store")
    if any(columns[name] != [getattr(row, name) for row in rows] for name in PLACE):
        return Condition("its index does not match the clips of the manifest")
    known = checksums(folder, clip.storage)
    bad = damaged(folder, rows, known, clip.storage, workers, on_bytes)
    if bad:
        return Condition(f"{len(bad)} of {len(rows)} clips do not match their checksums")
    return Condition(dated=any(name not in columns for name in CHECKSUM))


def is_sound_copy(folder: Path) -> bool:
    """Whether a node's copy of a store is intact; its bytes are read unless this node has verified them recently.

    A file next to the store records the verified files and the boot id of the machine. It is valid for `TRUSTED_S`
    seconds, so that the processes on a node read a copy only once.
    """
    stamp, facts = folder.with_name(f".{folder.name}.verified"), _facts(folder)
    with suppress(OSError, ValueError):
        if json.loads(stamp.read_text()) == facts and 0 <= time.time() - stamp.stat().st_mtime < TRUSTED_S:
            return True
    if damaged_copy(folder):
        return False
    with replacing(stamp, durable=False) as file:
        file.write(json.dumps(facts).encode())
    return True


def _facts(folder: Path) -> list[Any]:
    boot = Path("/proc/sys/kernel/random/boot_id")
    found: list[Any] = [boot.read_text() if boot.exists() else ""]
    for path in sorted(folder.rglob("*")):
        about = path.stat()
        found.append([path.relative_to(folder).as_posix(), about.st_size, about.st_mtime_ns, about.st_ctime_ns])
    return found


def damaged_copy(folder: Path) -> str:
    """Description of the damage to a finished store according to its index; empty for an intact store."""
    try:
        settings, columns = read_settings(folder), read_index(folder)
    except InputError as error:
        return error.rule
    rows = [StoredClip(*values) for values in zip(*(columns[name] for name in PLACE), strict=True)]
    bad = damaged(folder, rows, checksums(folder, settings["storage"]), settings["storage"], workers=2)
    return f"{len(bad)} of {len(rows)} clips do not match their checksums" if bad else ""


def damaged(
    folder: Path,
    rows: Iterable[StoredClip],
    known: dict[str, Done],
    storage: str,
    workers: int = 1,
    on_bytes: OnBytes | None = None,
) -> list[StoredClip]:
    """The clips whose bytes are incomplete, do not match their checksum, or have no checksum."""
    places = list({row.clip_key: row for row in rows}.values()) if storage == "jpeg" else list(rows)

    def is_intact(row: StoredClip) -> bool:
        done = known.get(row.clip_key)
        if done is None or (storage == "raw" and done.bytes != row.bytes):
            return False
        at = Done(row.clip_key, row.offset if storage == "raw" else 0, done.bytes, done.crc)
        return journal.intact(data_file(folder, row.clip_key, storage), at)

    total = sum(known[row.clip_key].bytes for row in places if row.clip_key in known)
    seen, bad = 0, []
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="verify") as pool:
        for row, intact in zip(places, pool.map(is_intact, places), strict=True):
            if not intact:
                bad.append(row)
            seen += known[row.clip_key].bytes if row.clip_key in known else 0
            if on_bytes is not None:
                on_bytes(seen, total)
    return bad
