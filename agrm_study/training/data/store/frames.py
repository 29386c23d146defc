"""Preprocessing: selection of the stored frames and pixels of a video."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.recipe import Clip
from agrm_study.training.data.background import estimate_boxes
from agrm_study.training.data.boxes import crop_square, square_windows
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.decoding import VideoInfo, read_frames


def stored_shape(record: ClipRecord, clip: Clip) -> tuple[int, int, int]:
    """Number of frames, height and width of a stored clip, computed from the manifest alone."""
    frames = math.floor((record.frames - 1) / record.fps * clip.fps + 1e-6) + 1 if record.frames and record.fps else 0
    if clip.crop == "person_box":
        return frames, clip.resize, clip.resize
    if clip.crop == "raw":
        return frames, min(clip.resize, record.height), min(clip.resize, record.width)
    scale = clip.resize / max(1, min(record.height, record.width))
    return frames, round(record.height * scale), round(record.width * scale)


def kept_frames(record: ClipRecord, info: VideoInfo, clip: Clip) -> NDArray[np.int64]:
    """Index of the presented frame nearest to the time k / clip.fps, for each stored frame k.

    The file's timestamps are used, so that a variable frame rate does not change the apparent walking speed. They are
    rescaled if the manifest and the container specify different mean frame rates.
    """
    times = info.times * (info.fps / record.fps)
    wanted = np.arange(stored_shape(record, clip)[0]) / clip.fps
    right = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
    if len(times) == 1:
        return np.zeros(len(wanted), dtype=np.int64)
    nearer_left = wanted - times[right - 1] <= times[right] - wanted + 1e-9
    return np.asarray(np.where(nearer_left, right - 1, right), dtype=np.int64)


def stored_frames(record: ClipRecord, info: VideoInfo, clip: Clip) -> Iterator[NDArray[np.uint8]]:
    """Yield the stored RGB frames of a clip in order, in chunks (n, 3, H, W).

    Raises:
        VideoError: If the file cannot be decoded, or no person is found for the person crop.
    """
    _, height, width = stored_shape(record, clip)
    indices = kept_frames(record, info, clip)
    if clip.crop == "resize":
        chunks = read_frames(record.path, info, indices.tolist(), width, height)
    elif clip.crop == "raw":
        chunks = _raw_centre(record, info, indices, width, height)
    else:
        chunks = _person(record, info, indices, clip)
    for frames_THWC in chunks:
        yield np.ascontiguousarray(frames_THWC.transpose(0, 3, 1, 2))


def _raw_centre(
    record: ClipRecord, info: VideoInfo, indices: NDArray[np.int64], width: int, height: int
) -> Iterator[NDArray[np.uint8]]:
    top, left = (info.height - height) // 2, (info.width - width) // 2
    for frames_THWC in read_frames(record.path, info, indices.tolist(), info.width, info.height):
        yield frames_THWC[:, top : top + height, left : left + width]


def _person(record: ClipRecord, info: VideoInfo, indices: NDArray[np.int64], clip: Clip) -> Iterator[NDArray[np.uint8]]:
    boxes = record.boxes or estimate_boxes(record, info)
    windows = square_windows(boxes, indices, clip.fps, clip.box_part)
    # Decode at the resolution required by the smallest window, so that no usable pixels of a distant walker are lost.
    scale = min(1.0, clip.resize / float(windows[:, 2].min()))
    width, height = max(2, round(info.width * scale)), max(2, round(info.height * scale))
    stretch = np.array([width / info.width, height / info.height, max(width / info.width, height / info.height)])
    done = 0
    for frames_THWC in read_frames(record.path, info, indices.tolist(), width, height):
        squares = windows[done : done + len(frames_THWC)] * stretch
        done += len(frames_THWC)
        yield np.stack(
            [
                crop_square(frame, float(x), float(y), float(side), clip.resize)
                for frame, (x, y, side) in zip(frames_THWC, squares, strict=True)
            ]
        )
