"""Random crop positions, random erasing and tube masking."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ERASE_RATIO = (0.3, 3.3)
"""Range of aspect ratios of erased rectangles, sampled log-uniformly (Zhong et al. 2020; as in torchvision)."""


def crop_positions(sides_N: Ints, size: int, shift: float, uniform_N: Floats) -> Ints:
    """First row (or column) of each crop: centred, then shifted by up to `shift` times the free margin on either side.

    Args:
        sides_N: Height (or width) of each stored frame in pixels, at least `size`.
        size: Side of the crop in pixels.
        shift: Maximum shift as a fraction of the margin; 0 selects the exact centre (rounded down).
        uniform_N: Random numbers in [0, 1).

    Returns:
        Positions (N,) in pixels.

    Raises:
        ValueError: If a frame is smaller than the crop.
    """
    margin_N = sides_N - size
    if (margin_N < 0).any():
        raise ValueError(
            f"a crop of {size} pixels requires frames with sides of at least that length, got {int(sides_N.min())}"
        )
    if shift == 0:
        return margin_N // 2
    moved_N = margin_N / 2 + (2 * uniform_N - 1) * shift * margin_N / 2
    return np.clip(np.floor(moved_N + 0.5).astype(np.int64), 0, margin_N)


def erase_boxes(probability: float, area: tuple[float, float], size: int, uniform_N5: Floats) -> Ints:
    """Rectangles to erase (Zhong et al. 2020).

    The area is uniform in `area`, the aspect ratio log-uniform in `ERASE_RATIO`, the position uniform. A side longer
    than the frame is truncated (torchvision resamples), so that each row of random numbers defines one rectangle.

    Args:
        probability: Probability that a clip has an erased rectangle.
        area: Minimum and maximum area, as fractions of the frame.
        size: Side of the frame in pixels.
        uniform_N5: Random numbers in [0, 1) for occurrence, area, aspect ratio, top and left.

    Returns:
        Top, left, height and width (N, 4) in pixels; all 0 if nothing is erased.
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


def hidden_patches(share: float, uniform_NGG: Floats) -> NDArray[np.bool_]:
    """Mask (N, G, G) of the hidden patches of a grid: round(share · G²) patches per clip, chosen uniformly.

    Patches are hidden in all frames of a clip, like the tubes of VideoMAE (Tong et al. 2022, section 3.2).

    Args:
        share: Fraction of the patches to hide.
        uniform_NGG: Random numbers in [0, 1), one per patch.
    """
    uniform_NP = uniform_NGG.reshape(len(uniform_NGG), -1)
    count = round(share * uniform_NP.shape[1])
    hidden_NP = np.zeros(uniform_NP.shape, dtype=np.bool_)
    np.put_along_axis(hidden_NP, np.argsort(uniform_NP, axis=1)[:, :count], True, axis=1)
    return hidden_NP.reshape(uniform_NGG.shape)


def patch_pixels(patches_NGG: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Expand the patches to pixels (N, S, S); the sides of patches differ by one pixel if G does not divide S."""
    cells_S = np.arange(size) * patches_NGG.shape[1] // size
    return patches_NGG[:, cells_S][:, :, cells_S]
