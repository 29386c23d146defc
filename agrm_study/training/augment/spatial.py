"""Where in the frame does a view look, and which rectangle is hidden?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ERASE_RATIO = (0.3, 3.3)
"""Aspect ratios of erased rectangles, drawn log-uniformly (Zhong et al. 2020, as in torchvision)."""


def crop_positions(sides_N: Ints, size: int, shift: float, uniform_N: Floats) -> Ints:
    """First row (or column) of each crop: the centre, moved by up to `shift` of the free margin on either side.

    Args:
        sides_N: Height (or width) of each stored frame, at least `size`.
        size: Side of the crop.
        shift: Share of the margin, 0 for the exact centre (rounded down).
        uniform_N: Numbers in [0, 1).

    Raises:
        ValueError: When a frame is smaller than the crop.
    """
    margin_N = sides_N - size
    if (margin_N < 0).any():
        raise ValueError(f"a crop of {size} pixels needs frames of at least that side, given {int(sides_N.min())}")
    if shift == 0:
        return margin_N // 2
    moved_N = margin_N / 2 + (2 * uniform_N - 1) * shift * margin_N / 2
    return np.clip(np.floor(moved_N + 0.5).astype(np.int64), 0, margin_N)


def erase_boxes(probability: float, area: tuple[float, float], size: int, uniform_N5: Floats) -> Ints:
    """Rectangles to erase, (N, 4) as top, left, height, width; all zeros where nothing is erased.

    Area uniform in `area` (shares of the frame), aspect ratio log-uniform in `ERASE_RATIO`, position uniform. A side
    that would leave the frame is cut to it (torchvision draws again), so that one row of numbers makes one rectangle.

    Args:
        probability: Share of the clips with a rectangle.
        area: Smallest and largest area.
        size: Side of the frame in pixels.
        uniform_N5: Numbers in [0, 1): whether, area, ratio, top, left.
    """
    low, high = np.log(ERASE_RATIO)
    area_N = (area[0] + (area[1] - area[0]) * uniform_N5[:, 1]) * size * size
    ratio_N = np.exp(low + (high - low) * uniform_N5[:, 2])
    height_N = np.clip(np.rint(np.sqrt(area_N * ratio_N)).astype(np.int64), 1, size)
    width_N = np.clip(np.rint(np.sqrt(area_N / ratio_N)).astype(np.int64), 1, size)
    top_N = (uniform_N5[:, 3] * (size - height_N + 1)).astype(np.int64)
    left_N = (uniform_N5[:, 4] * (size - width_N + 1)).astype(np.int64)
    boxes_N4 = np.stack([top_N, left_N, height_N, width_N], axis=1)
    boxes_N4[uniform_N5[:, 0] >= probability] = 0
    return boxes_N4
