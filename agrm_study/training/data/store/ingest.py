"""Decoding of one video into a store in a killable child process."""

from __future__ import annotations

import hashlib
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from agrm_study.study.recipe import Clip
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_info
from agrm_study.training.data.decoding.images import images_in
from agrm_study.training.data.decoding.killable import beat
from agrm_study.training.data.store import journal
from agrm_study.training.data.store.frames import stored_frames
from agrm_study.training.data.store.journal import Done
from agrm_study.training.data.store.jpeg import encode_frames, write_jpegs
from agrm_study.training.data.store.layout import StoredClip, data_file

CHANGED = "the file has changed since it was indexed: its checksum does not match the manifest"


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to store.

    Attributes:
        record: The clip in the manifest.
        clip: The preprocessing.
        stored: The clip's location in the store.
        folder: Folder of the unfinished store.
    """

    record: ClipRecord
    clip: Clip
    stored: StoredClip
    folder: Path


def store_clip(job: Job) -> Done:
    """Decode a clip and write its frames to their location in the store.

    Raises:
        VideoError: If the file differs from the manifest, or cannot be decoded completely.
        OSError: If the frames cannot be written, for example because the disk is full.
    """
    info = verified(job.record)
    path = data_file(job.folder, job.stored.clip_key, job.clip.storage)
    if job.clip.storage == "raw":
        return _store_raw(job, info, path)
    jpegs = [jpeg for chunk in stored_frames(job.record, info, job.clip) for jpeg in encode_frames(chunk)]
    write_jpegs(path, jpegs)
    done = Done(job.stored.clip_key, 0, path.stat().st_size, 0)
    crc = 0
    for block in journal.blocks(path, done):
        crc = zlib.crc32(block, crc)
    return Done(done.clip_key, 0, done.bytes, crc)


def verified(record: ClipRecord) -> VideoInfo:
    """Read a video's metadata and check it against the manifest.

    Raises:
        VideoError: If the file is missing, changed, truncated or unreadable.
    """
    if not record.path.exists():
        raise VideoError("the file does not exist", "missing")
    if file_checksum(record.path) != record.checksum:
        raise VideoError(CHANGED, "changed")
    info = read_info(record.path)
    if info.shortfall:
        raise VideoError(f"truncated: {info.shortfall}", "truncated")
    if info.frames != record.frames:
        raise VideoError(f"{info.frames} frames; the manifest specifies {record.frames}", "truncated")
    if info.pixel_aspect != 1.0 and (info.width, info.height) != (record.width, record.height):
        shown, stated = f"{info.width}x{info.height}", f"{record.width}x{record.height}"
        message = (
            f"its pixels are not square: frames are displayed at {shown}, the manifest specifies {stated}; "
            "index the video again"
        )
        raise VideoError(message, "changed")
    return info


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of the images in a folder; hexadecimal.

    Raises:
        OSError: If a file cannot be read.
    """
    digest = hashlib.sha256()
    for file in images_in(path) if path.is_dir() else (path,):
        if file != path:
            digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            while block := content.read(8 << 20):
                digest.update(block)
                beat()
    return digest.hexdigest()


def _store_raw(job: Job, info: VideoInfo, path: Path) -> Done:
    written, crc = 0, 0
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for frames_NCHW in stored_frames(job.record, info, job.clip):
            block = frames_NCHW.reshape(-1).data
            crc = zlib.crc32(block, crc)
            while len(block):
                count = os.pwrite(file, block, job.stored.offset + written)
                written, block = written + count, block[count:]
    finally:
        os.close(file)
    if written != job.stored.bytes:
        raise VideoError(f"{written} bytes of frames were decoded; {job.stored.bytes} were expected", "truncated")
    return Done(job.stored.clip_key, job.stored.offset, written, crc)
