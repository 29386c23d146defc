"""Interpolated person boxes and the square crop windows that follow them."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.clip_record import Box

SMOOTH_S = 0.4
"""Standard deviation of the Gaussian that smooths the path of the crop window, in seconds."""
MARGIN = 1.1
"""Ratio of the square's side to the longer side of the box."""

BoxPart = Literal["whole", "legs"]


def boxes_at(boxes: tuple[Box, ...], frames_T: NDArray[np.int64]) -> NDArray[np.float64]:
    """Boxes (T, 4) as x, y, w, h at the given frames.

    Boxes are interpolated linearly between the key boxes and are constant before the first and after the last one.
    """
    keys = np.asarray(boxes, dtype=np.float64)
    return np.stack([np.interp(frames_T, keys[:, 0], keys[:, column]) for column in range(1, 5)], axis=1)


def key_boxes(boxes: tuple[Box, ...], tolerance: float) -> tuple[Box, ...]:
    """A small subset of the boxes from which linear interpolation reproduces all boxes (Douglas and Peucker 1973).

    Args:
        boxes: Boxes in order of increasing frame number.
        tolerance: Maximum error of an interpolated value, in pixels.
    """
    keys = np.asarray(boxes, dtype=np.float64)
    kept, spans = {0, len(keys) - 1}, [(0, len(keys) - 1)]
    while spans:
        first, last = spans.pop()
        frames = keys[first : last + 1, 0]
        line = np.stack([np.interp(frames, frames[[0, -1]], keys[[first, last], side]) for side in range(1, 5)], axis=1)
        errors = np.abs(line - keys[first : last + 1, 1:]).max(axis=1)
        worst = first + int(errors.argmax())
        if errors.max() > tolerance:
            kept.add(worst)
            spans += [(first, worst), (worst, last)]
    return tuple(boxes[place] for place in sorted(kept))


def square_windows(
    boxes: tuple[Box, ...], frames_T: NDArray[np.int64], fps: float, part: BoxPart = "whole"
) -> NDArray[np.float64]:
    """Square crop windows that follow the person smoothly.

    Args:
        boxes: Key boxes.
        frames_T: Indices of the stored frames in the video file.
        fps: Frame rate of the stored frames; converts the smoothing from seconds to samples.
        part: `whole` for the whole box, `legs` for its lower half.

    Returns:
        Centre x, centre y and side (T, 3), in pixels of the displayed frame (after rotation).
    """
    x, y, w, h = boxes_at(boxes, frames_T).T
    if part == "legs":
        y, h = y + h / 2, h / 2
    sides = np.maximum(w, h)
    windows = smooth(np.stack([x + w / 2, y + h / 2, sides], axis=1), SMOOTH_S * fps)
    windows[:, 2] = MARGIN * np.clip(windows[:, 2], sides.min(), sides.max())
    return windows


def smooth(path_TD: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian smoothing of a path (T, D) over time, with `sigma` in samples.

    The ends are padded by odd reflection, so that a path of constant velocity is unchanged.
    """
    reach = int(np.ceil(3 * sigma))
    if reach < 1 or len(path_TD) < 2:
        return path_TD
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    padded = np.pad(path_TD, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    columns = [np.convolve(padded[:, column], weights, mode="valid") for column in range(path_TD.shape[1])]
    return np.stack(columns, axis=1)


def crop_square(
    frame_HWC: NDArray[np.uint8], centre_x: float, centre_y: float, side: float, size: int
) -> NDArray[np.uint8]:
    """Crop a square and resize it to (size, size, 3); pixels outside the frame repeat its edge."""
    height, width = frame_HWC.shape[:2]
    pixels = max(2, round(side))
    left, top = round(centre_x - pixels / 2), round(centre_y - pixels / 2)
    # A window that is completely outside the frame is moved to its edge.
    left = min(max(left, 1 - pixels), width - 1)
    top = min(max(top, 1 - pixels), height - 1)
    inside = frame_HWC[max(top, 0) : min(top + pixels, height), max(left, 0) : min(left + pixels, width)]
    borders = (max(-top, 0), max(top + pixels - height, 0), max(-left, 0), max(left + pixels - width, 0))
    if any(borders):
        inside = cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE)
    way = cv2.INTER_AREA if pixels > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inside, (size, size), interpolation=way), dtype=np.uint8)
