"""Estimation of a walker's bounding boxes by background subtraction, for videos from fixed cameras without known boxes.

A pixel is foreground if it differs from an earlier and from a later frame, or from one of them and from the background
(the median over the clip). Mixture models such as OpenCV's MOG2 absorb a person who walks towards the camera into the
background, because the person stays at the same image position. The largest foreground region of each frame is
taken as the walker. A median filter over time removes outliers caused by flickering light or missed detections.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.clip_record import Box, ClipRecord
from agrm_study.training.data.decoding import VideoError, VideoInfo, read_frames

BOXES_VERSION = 1
"""Increment if the boxes for the same video change."""
WIDTH = 320
"""Maximum width of the analysed frames, in pixels."""
RATE = 12.5
"""Maximum number of analysed frames per second."""
SMALLEST = 0.01
"""Minimum area of a person, as a fraction of the frame."""
SEEN = 0.3
"""Minimum fraction of frames in which a person must be detected."""
MEDIAN_S = 0.6
"""Window of the median filter over time, in seconds."""
LAG_S = 0.25
"""Time between a frame and each of its comparison frames, in seconds."""
LEAST_CHANGE, NOISE_FACTOR = 18.0, 6.0
"""A pixel has changed if it differs by more than the larger of `LEAST_CHANGE` and `NOISE_FACTOR` times the
frame-to-frame noise, in grey levels."""


def estimate_boxes(record: ClipRecord, info: VideoInfo) -> tuple[Box, ...]:
    """Estimate key boxes of the single walker in a clip from a fixed camera.

    Returns:
        Boxes (frame, x, y, w, h) in pixels of the displayed frame (after rotation).

    Raises:
        VideoError: If the file cannot be decoded, or no moving person is detected.
    """
    step = max(1, round(info.fps / RATE))
    indices = np.arange(0, info.frames, step)
    scale = min(1.0, WIDTH / info.width)
    width, height = max(2, round(info.width * scale)), max(2, round(info.height * scale))
    frames_THWC = np.concatenate(list(read_frames(record.path, info, indices.tolist(), width, height)))
    found_T4 = moving_boxes(frames_THWC, max(1, round(LAG_S * info.fps / step)))
    seen = np.isfinite(found_T4[:, 0])
    if seen.mean() < SEEN:
        raise VideoError("no walker was detected in front of the background; add boxes to the manifest", "no_boxes")
    times = np.arange(len(indices))
    filled = np.stack([np.interp(times, times[seen], found_T4[seen, side]) for side in range(4)], axis=1)
    sides = median_over_time(filled, max(1, round(MEDIAN_S * info.fps / step)))
    sides /= np.array([width / info.width, height / info.height] * 2)
    left, top, right, bottom = sides.T
    boxes = np.stack([left, top, np.maximum(right - left, 2), np.maximum(bottom - top, 2)], axis=1)
    return tuple((int(i), *(round(float(v), 2) for v in box)) for i, box in zip(indices, boxes, strict=True))  # type: ignore[misc]


def moving_boxes(frames_THWC: NDArray[np.uint8], lag: int) -> NDArray[np.float64]:
    """Left, top, right and bottom (T, 4) of the moving person in each frame; NaN if no region is large enough.

    Args:
        frames_THWC: Frames of the clip.
        lag: Offset of the comparison frames, in frames.
    """
    masks_THW = moving_masks(frames_THWC, lag)
    boxes = np.full((len(masks_THW), 4), np.nan)
    smallest = SMALLEST * masks_THW[0].size
    for frame, mask in enumerate(masks_THW):
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        if count < 2:
            continue
        areas = stats[1:, cv2.CC_STAT_AREA]
        if areas.max() < smallest:
            continue
        # Head and feet may be disconnected from the trunk: merge regions above or below it that are not much wider.
        x, _, w, _, _ = stats[1 + int(areas.argmax())]
        near = [s for s in stats[1:] if s[4] > 0.05 * areas.max() and s[0] > x - w / 2 and s[0] + s[2] < x + 1.5 * w]
        left, top = min(s[0] for s in near), min(s[1] for s in near)
        boxes[frame] = left, top, max(s[0] + s[2] for s in near), max(s[1] + s[3] for s in near)
    return boxes


def moving_masks(frames_THWC: NDArray[np.uint8], lag: int) -> NDArray[np.uint8]:
    """Foreground masks (T, H, W) of 0 and 1; `lag` is the offset of the comparison frames, in frames."""
    blurred = np.stack([cv2.GaussianBlur(frame, (5, 5), 0) for frame in frames_THWC])
    # The median is computed from a sample of the frames to limit memory use for long clips.
    scene = np.median(blurred[:: max(1, len(blurred) // 60)], axis=0).astype(np.uint8)
    noise = float(np.median(cv2.absdiff(blurred[1:], blurred[:-1]))) if len(blurred) > 1 else 0.0
    threshold = max(LEAST_CHANGE, NOISE_FACTOR * noise)
    thin, gaps = np.ones((3, 3), np.uint8), np.ones((9, 7), np.uint8)
    masks = np.empty(blurred.shape[:3], np.uint8)
    for frame, image in enumerate(blurred):
        one, other = (_differs(image, blurred[at], threshold) for at in _comparison_frames(frame, lag, len(blurred)))
        changed = (one & other) | (_differs(image, scene, threshold) & (one | other))
        opened = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, thin)
        masks[frame] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, gaps)
    return masks


def _comparison_frames(frame: int, lag: int, count: int) -> tuple[int, int]:
    """Indices of the two comparison frames.

    They are `lag` frames before and after the frame. Near the ends of a clip, both are on the same side, which avoids
    ghosting.
    """
    if frame < lag:
        one, other = frame + lag, frame + 2 * lag
    elif frame + lag >= count:
        one, other = frame - lag, frame - 2 * lag
    else:
        one, other = frame - lag, frame + lag
    return min(max(one, 0), count - 1), min(max(other, 0), count - 1)


def _differs(image_HWC: NDArray[np.uint8], other_HWC: NDArray[np.uint8], threshold: float) -> NDArray[np.bool_]:
    return np.asarray(cv2.absdiff(image_HWC, other_HWC).max(axis=2) > threshold)


def median_over_time(path_TD: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Running median (T, D) over `window` samples (rounded up to an odd number).

    The ends are padded by odd reflection, so that a path of constant velocity is unchanged.
    """
    reach = window // 2
    mode = {"mode": "reflect", "reflect_type": "odd"} if len(path_TD) > 1 else {"mode": "edge"}
    padded = np.pad(path_TD, ((reach, reach), (0, 0)), **mode)  # type: ignore[call-overload]
    views = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return np.asarray(np.median(views, axis=-1), dtype=np.float64)
