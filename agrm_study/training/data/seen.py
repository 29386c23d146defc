"""The part of a clip that the network receives: a square of the stored frame, and the share of the person inside it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.recipe import Clip
from agrm_study.training.augment.spatial import crop_positions
from agrm_study.training.data.background import estimate_boxes
from agrm_study.training.data.boxes import boxes_at, square_windows
from agrm_study.training.data.clip_record import Box, ClipRecord
from agrm_study.training.data.decoding import VideoError, VideoInfo
from agrm_study.training.data.store.frames import kept_frames, stored_shape

Floats = NDArray[np.float64]

WHOLE = 0.9
"""Minimum fraction of the person's box inside the test square, averaged over the frames."""
NARROW = 0.6
"""Minimum fraction of the frame's rows and columns covered by the test square; smaller squares are reported if the
person's position is unknown."""


@dataclass(frozen=True, slots=True)
class Region:
    """The stored region of each video frame, and the size of a stored frame.

    Attributes:
        boxes_T4: Region of each stored frame as x, y, w, h in pixels of the displayed frame.
        height, width: Size of a stored frame, in pixels.
    """

    boxes_T4: Floats
    height: int
    width: int

    def to_stored(self, boxes_T4: Floats) -> Floats:
        """Convert boxes x, y, w, h from pixels of the displayed frame to pixels of the stored frame."""
        scale_T2 = np.array([self.width, self.height]) / self.boxes_T4[:, 2:]
        return np.concatenate([(boxes_T4[:, :2] - self.boxes_T4[:, :2]) * scale_T2, boxes_T4[:, 2:] * scale_T2], axis=1)


def stored_region(record: ClipRecord, clip: Clip, kept_T: NDArray[np.int64], boxes: tuple[Box, ...] | None) -> Region:
    """The region of each frame that `stored_frames` stores; `boxes` are required for `clip.crop: person_box`."""
    _, height, width = stored_shape(record, clip)
    if clip.crop == "person_box" and boxes is not None:
        x, y, side = square_windows(boxes, kept_T, clip.fps, clip.box_part).T
        return Region(np.stack([x - side / 2, y - side / 2, side, side], axis=1), height, width)
    region = [0, 0, record.width, record.height]
    if clip.crop == "raw":
        region = [(record.width - width) // 2, (record.height - height) // 2, width, height]
    return Region(np.tile(np.asarray(region, dtype=np.float64), (len(kept_T), 1)), height, width)


def square_in_testing(height: int, width: int, size: int) -> Floats:
    """The centred square x, y, w, h of the stored frame that the network receives at test time."""
    top, left = (int(crop_positions(np.array([side]), size, 0.0, np.zeros(1))[0]) for side in (height, width))
    return np.array([left, top, size, size], dtype=np.float64)


def share_inside(boxes_T4: Floats, square_4: Floats) -> float:
    """Share of the boxes' area that lies inside a square, averaged over the boxes."""
    low = np.maximum(boxes_T4[:, :2], square_4[:2])
    high = np.minimum(boxes_T4[:, :2] + boxes_T4[:, 2:], square_4[:2] + square_4[2:])
    inside = np.clip(high - low, 0, None).prod(axis=1)
    return float((inside / boxes_T4[:, 2:].prod(axis=1)).mean())


def square_notes(record: ClipRecord, info: VideoInfo, clip: Clip) -> list[tuple[str, str]]:
    """Kind and message of a finding if the test square cuts off the person, or is narrow and the person's position is
    unknown.

    If the manifest has no boxes and the square does not cover most of the frame, the person is located by motion.
    """
    _, height, width = stored_shape(record, clip)
    if min(height, width) < clip.size:
        return []
    rows, columns = (record.height, record.width) if clip.crop == "raw" else (height, width)
    covered = 1.0 if clip.crop == "person_box" else clip.size / max(rows, columns)
    boxes, source = record.boxes, "the manifest's boxes"
    if boxes is None and covered < WHOLE:
        with suppress(VideoError):
            boxes, source = estimate_boxes(record, info), "boxes estimated from motion"
    covers = f"the test square covers {clip.size} of {rows} rows and {clip.size} of {columns} columns"
    if boxes is None:
        return [("narrow", f"{covers}; the person's position is unknown")] if covered < NARROW else []
    kept = kept_frames(record, info, clip)
    region = stored_region(record, clip, kept, boxes)
    person = region.to_stored(person_boxes(boxes, kept, clip))
    share = share_inside(person, square_in_testing(height, width, clip.size))
    return [("cut_off", f"{covers}, and {share:.0%} of the person according to {source}")] if share < WHOLE else []


def person_boxes(boxes: tuple[Box, ...], kept_T: NDArray[np.int64], clip: Clip) -> Floats:
    """Boxes x, y, w, h (T, 4) of the person, or of the legs with `clip.box_part: legs`, in the displayed frame."""
    boxes_T4 = boxes_at(boxes, kept_T)
    if clip.crop == "person_box" and clip.box_part == "legs":
        boxes_T4[:, 3] /= 2
        boxes_T4[:, 1] += boxes_T4[:, 3]
    return boxes_T4
