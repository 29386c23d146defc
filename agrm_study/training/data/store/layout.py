"""Layout of a store on disk, and the keys that identify clips and stores by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agrm_study.study.recipe import Clip
from agrm_study.training.data.background import BOXES_VERSION
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store.frames import stored_shape

STORE_FILE, INDEX_FILE, RAW_FILE, JPEG_FOLDER = "store.json", "index.parquet", "frames.u8", "jpeg"
STORE_VERSION = 1
"""Increment if the stored content for the same key changes."""
JPEG_SHARE = 1 / 6
"""Approximate ratio of the size of a JPEG store to the size of a raw store."""
PAGE = 4096
"""Alignment of clips in the flat file, in bytes, so that read-ahead of one clip does not include its neighbour."""


@dataclass(frozen=True, slots=True)
class StoredClip:
    """One clip of a store.

    Attributes:
        clip_id: Id of the clip in the manifest.
        clip_key: Hash of the video's content and of all manifest values that the preprocessing uses.
        offset: Position of the first byte in the flat file (raw stores).
        frames: Number of stored frames.
        height, width: Size of a stored frame, in pixels.
    """

    clip_id: str
    clip_key: str
    offset: int
    frames: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape (T, 3, H, W)."""
        return self.frames, 3, self.height, self.width

    @property
    def bytes(self) -> int:
        """Size of the decoded pixels, in bytes."""
        return self.frames * 3 * self.height * self.width


def store_key(manifest: Manifest, clip: Clip) -> str:
    """Name of the store of these clips: `<hash of the preprocessing>-<hash of the clip ids and contents>`."""
    rows = sorted((record.clip_id, clip_key(record, clip)) for record in manifest.clips)
    return f"{preprocessing_key(clip)}-{_hash(rows)[:16]}"


def preprocessing_key(clip: Clip) -> str:
    """Hash of the settings that affect stored pixels (`frames` and `size` do not)."""
    settings = {
        "version": STORE_VERSION, "fps": clip.fps, "crop": clip.crop, "resize": clip.resize, "storage": clip.storage,
        "box_part": clip.box_part if clip.crop == "person_box" else None,
    }  # fmt: skip
    return _hash(settings)[:8]


def clip_key(record: ClipRecord, clip: Clip) -> str:
    """Hash of everything that determines the stored pixels of one clip."""
    content: dict[str, Any] = {
        name: getattr(record, name) for name in ("checksum", "frames", "fps", "width", "height", "rotation")
    }
    content["boxes"] = (record.boxes or f"estimated {BOXES_VERSION}") if clip.crop == "person_box" else None
    content["preprocessing"] = preprocessing_key(clip)
    return _hash(content)[:32]


def lay_out(records: Iterable[ClipRecord], clip: Clip) -> tuple[StoredClip, ...]:
    """Consecutive locations of the clips, in order of clip id."""
    rows: list[StoredClip] = []
    offset = 0
    for record in sorted(records, key=lambda each: each.clip_id):
        row = StoredClip(record.clip_id, clip_key(record, clip), offset, *stored_shape(record, clip))
        rows.append(row)
        offset += -(-row.bytes // PAGE) * PAGE
    return tuple(rows)


def store_bytes(manifest: Manifest, clip: Clip) -> int:
    """Size of the store of these clips on disk, in bytes: exact for raw storage, an estimate for JPEG."""
    rows = lay_out(manifest.clips, clip)
    total = rows[-1].offset + rows[-1].bytes if rows else 0
    return total if clip.storage == "raw" else round(sum(row.bytes for row in rows) * JPEG_SHARE)


def has_store(folder: Path) -> bool:
    """Whether the folder contains a finished store."""
    return (folder / STORE_FILE).is_file()


def data_file(folder: Path, clip_key: str, storage: str) -> Path:
    """The file with a clip's frames: the shared flat file (raw) or one Arrow file per clip (JPEG)."""
    return folder / RAW_FILE if storage == "raw" else folder / JPEG_FOLDER / f"{clip_key}.arrow"


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
