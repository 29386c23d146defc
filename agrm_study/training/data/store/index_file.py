"""The index of a store: settings, and location, shape and checksum of each clip."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Clip
from agrm_study.study.temporary import replacing
from agrm_study.training.data.store import journal
from agrm_study.training.data.store.journal import Done
from agrm_study.training.data.store.layout import INDEX_FILE, STORE_FILE, STORE_VERSION, StoredClip

PLACE = ("clip_id", "clip_key", "offset", "frames", "height", "width")
CHECKSUM = ("bytes", "crc")
"""Columns missing from stores written by version 0.1.0, whose journal contains the same values."""
HINT = "The next `agrm-study run` or `agrm-study data build` repairs the store."


def write_index(folder: Path, rows: Sequence[StoredClip], finished: Mapping[str, Done], clip: Clip) -> None:
    """Write the index and then the file that marks the store as finished."""
    columns: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in PLACE}
    columns |= {name: [getattr(finished[row.clip_key], name) for row in rows] for name in CHECKSUM}
    with replacing(folder / INDEX_FILE) as file:
        pq.write_table(pa.table(columns), file, write_page_checksum=True)
    with replacing(folder / STORE_FILE) as file:
        file.write((json.dumps({"version": STORE_VERSION, "clip": settings_of(clip)}, indent=1) + "\n").encode())


def settings_of(clip: Clip) -> dict[str, Any]:
    """The preprocessing settings recorded in a store."""
    return clip.model_dump(mode="json", include={"fps", "crop", "box_part", "resize", "storage"})


def read_settings(folder: Path) -> dict[str, Any]:
    """The preprocessing settings of a finished store.

    Raises:
        InputError: If the folder contains no finished store, or the file is damaged.
    """
    path = folder / STORE_FILE
    try:
        settings = json.loads(path.read_text())["clip"]
        settings["storage"], settings["fps"], settings["resize"]
    except (FileNotFoundError, NotADirectoryError):
        raise InputError("no finished clip store found", where=folder, hint="Run `agrm-study data build`.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError("the clip store's settings cannot be read", where=path, hint=HINT) from None
    return dict(settings)


def read_index(folder: Path) -> dict[str, list[Any]]:
    """The columns of the index, without the `CHECKSUM` columns for a store written by version 0.1.0.

    Raises:
        InputError: If the file is missing or damaged.
    """
    path = folder / INDEX_FILE
    try:
        columns: dict[str, list[Any]] = pq.read_table(path, page_checksum_verification=True).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"the clip store's index cannot be read ({error})", where=path, hint=HINT) from None
    if missing := [name for name in PLACE if name not in columns]:
        raise InputError(f"the clip store's index lacks {', '.join(missing)}", where=path, hint=HINT)
    return columns


def checksums(folder: Path, storage: str) -> dict[str, Done]:
    """Checksums of the stored clips by clip key, from the journal and the index; either may be missing."""
    known = journal.read(folder)
    try:
        columns = read_index(folder)
    except InputError:
        return known
    if all(name in columns for name in CHECKSUM):
        for key, offset, *values in zip(*(columns[name] for name in ("clip_key", "offset", *CHECKSUM)), strict=True):
            known[key] = Done(key, offset if storage == "raw" else 0, *values)
    return known
