"""Preprocessing of a video that is not in a manifest, identical to the preprocessing for a clip store.

Runs in a child process that may be killed, so that a hanging decoder affects only one video.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.recipe import Clip
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.decoding import VideoError, read_info
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.store.frames import stored_frames
from agrm_study.training.data.store.problems import manifest_problems

MOST_BYTES = 4 << 30
"""Maximum size of one preprocessed video in memory, in bytes."""


def video_frames(path: Path, clip: Clip) -> NDArray[np.uint8]:
    """Frames (T, 3, H, W) of a video, preprocessed as in a clip store.

    Raises:
        VideoError: If the video is missing, truncated, unreadable or too long, its frames are too small, or no walker
            is found for the person crop.
    """
    if not path.is_file():
        raise VideoError("the path is a folder" if path.is_dir() else "the file does not exist", "missing")
    info = read_info(path)
    if info.shortfall:
        raise VideoError(f"truncated: {info.shortfall}", "truncated")
    record = ClipRecord(
        subject_id=path.name,
        clip_id=path.name,
        path=path,
        frames=info.frames,
        fps=info.fps,
        width=info.width,
        height=info.height,
        rotation=info.rotation,
        checksum="",
        source="predict",
    )
    if problems := manifest_problems(Manifest(path, (record,)), clip):
        raise VideoError(problems[0].message, problems[0].kind)
    chunks: list[NDArray[np.uint8]] = []
    for chunk in stored_frames(record, info, clip):
        chunks.append(chunk)
        if sum(each.nbytes for each in chunks) > MOST_BYTES:
            raise VideoError(f"too long: at {clip.fps:g} frames per second it does not fit in memory; cut the video")
    return np.concatenate(chunks)
