"""Where is the walker when nobody has drawn boxes and the camera stands still?

What differs from a moment before and from a moment after, or from one of them and from the scene (the median over the
clip), moves in front of it. (Mixture models such as OpenCV's MOG2 take somebody who walks towards the camera for the
scene: they stay at one place of the picture.) The largest moving region of each frame is the walker; the path of its
box is cleaned with a median over time, so that a flicker of the light or a missed frame does not move it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding import VideoError, VideoInfo, read_frames
from agrm_study.training.data.manifest import Box, ClipRecord

BOXES_VERSION = 1
"""Raised when the same video would give other boxes."""
WIDTH = 320
"""Pixels of the frames that are looked at, at most."""
RATE = 12.5
"""Frames looked at in a second, at most."""
SMALLEST = 0.01
"""Share of the frame below which a region is no person."""
SEEN = 0.3
"""Share of the frames in which a person must be found."""
MEDIAN_S = 0.6
"""Seconds of the median over a box's path."""
LAG_S = 0.25
"""Seconds of the moment before and after."""
LEAST_CHANGE, NOISE_FACTOR = 18.0, 6.0
"""Grey levels, and multiples of the frame-to-frame noise, above which a pixel has changed."""


def estimate_boxes(record: ClipRecord, info: VideoInfo) -> tuple[Box, ...]:
    """Key boxes (frame, x, y, w, h) of the one walker in a clip of a fixed camera, in pixels of the shown frame.

    Raises:
        VideoError: The file cannot be decoded, or nobody moves in it.
    """
    step = max(1, round(info.fps / RATE))
    indices = np.arange(0, info.frames, step)
    scale = min(1.0, WIDTH / info.width)
    width, height = max(2, round(info.width * scale)), max(2, round(info.height * scale))
    frames_THWC = np.concatenate(list(read_frames(record.path, info, indices.tolist(), width, height)))
    found_T4 = moving_boxes(frames_THWC, max(1, round(LAG_S * info.fps / step)))
    seen = np.isfinite(found_T4[:, 0])
    if seen.mean() < SEEN:
        raise VideoError("no walker was found in front of the background; give boxes in the manifest", "no_boxes")
    times = np.arange(len(indices))
    filled = np.stack([np.interp(times, times[seen], found_T4[seen, side]) for side in range(4)], axis=1)
    sides = median_over_time(filled, max(1, round(MEDIAN_S * info.fps / step)))
    sides /= np.array([width / info.width, height / info.height] * 2)
    left, top, right, bottom = sides.T
    boxes = np.stack([left, top, np.maximum(right - left, 2), np.maximum(bottom - top, 2)], axis=1)
    return tuple((int(i), *(round(float(v), 2) for v in box)) for i, box in zip(indices, boxes, strict=True))  # type: ignore[misc]


def moving_boxes(frames_THWC: NDArray[np.uint8], lag: int) -> NDArray[np.float64]:
    """Left, top, right and bottom (T, 4) of what moves in each frame; NaN where nothing of a person's size does."""
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
        # Head and feet may be parted from the trunk: regions above or below it, and not much wider, belong to it.
        x, _, w, _, _ = stats[1 + int(areas.argmax())]
        near = [s for s in stats[1:] if s[4] > 0.05 * areas.max() and s[0] > x - w / 2 and s[0] + s[2] < x + 1.5 * w]
        left, top = min(s[0] for s in near), min(s[1] for s in near)
        boxes[frame] = left, top, max(s[0] + s[2] for s in near), max(s[1] + s[3] for s in near)
    return boxes


def moving_masks(frames_THWC: NDArray[np.uint8], lag: int) -> NDArray[np.uint8]:
    """1 where something stands in front of the scene, (T, H, W); `lag` is a moment, in frames."""
    blurred = np.stack([cv2.GaussianBlur(frame, (5, 5), 0) for frame in frames_THWC])
    # A sample of frames bounds the memory of the median over long clips.
    scene = np.median(blurred[:: max(1, len(blurred) // 60)], axis=0).astype(np.uint8)
    noise = float(np.median(cv2.absdiff(blurred[1:], blurred[:-1]))) if len(blurred) > 1 else 0.0
    threshold = max(LEAST_CHANGE, NOISE_FACTOR * noise)
    thin, gaps = np.ones((3, 3), np.uint8), np.ones((9, 7), np.uint8)
    masks = np.empty(blurred.shape[:3], np.uint8)
    for frame, image in enumerate(blurred):
        one, other = (_differs(image, blurred[moment], threshold) for moment in _moments(frame, lag, len(blurred)))
        changed = (one & other) | (_differs(image, scene, threshold) & (one | other))
        opened = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_OPEN, thin)
        masks[frame] = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, gaps)
    return masks


def _moments(frame: int, lag: int, count: int) -> tuple[int, int]:
    """The frames a moment before and after; at the ends of a clip two on the same side, so that no ghost is left."""
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
    """Running median over `window` samples (made odd), the ends continued so that a steady walk stays one."""
    reach = window // 2
    mode = {"mode": "reflect", "reflect_type": "odd"} if len(path_TD) > 1 else {"mode": "edge"}
    padded = np.pad(path_TD, ((reach, reach), (0, 0)), **mode)  # type: ignore[call-overload]
    views = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)
    return np.asarray(np.median(views, axis=-1), dtype=np.float64)
