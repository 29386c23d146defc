"""Colour jitter as one 3×3 matrix and one offset per clip.

Brightness, contrast and saturation are affine in RGB, as is a rotation about the grey axis, which equals a hue shift
for multiples of a third of a turn and approximates it otherwise. Applied in the order brightness, contrast, saturation,
hue, they combine to

    x ↦ c·b·R·S·x + (1 − c)·b·(g·m),   S = s·I + (1 − s)·1gᵀ

with grey weights g, the clip's mean colour m and rotation R. Differences from torchvision's ColorJitter: the order is
fixed, values are clamped to [0, 1] once at the end, contrast uses the mean of the clip instead of each frame, and hue
is changed by a rotation instead of a conversion to HSV and back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GREY = np.array([0.2989, 0.587, 0.114])
"""Luma weights of red, green and blue (ITU-R BT.601, rounded as in torchvision)."""


def hue_rotation(turns_N: Floats) -> Floats:
    """Rotation matrices (N, 3, 3) about the grey axis (1, 1, 1), with angles in turns (Rodrigues' formula)."""
    angle_N11 = 2 * np.pi * turns_N[:, None, None]
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / np.sqrt(3.0)
    mean = np.full((3, 3), 1 / 3)
    turned_N33: Floats = np.cos(angle_N11) * np.eye(3) + np.sin(angle_N11) * cross + (1 - np.cos(angle_N11)) * mean
    return turned_N33


def colour_matrices(brightness_N: Floats, contrast_N: Floats, saturation_N: Floats, hue_N: Floats) -> Floats:
    """Matrices c·b·R·S (N, 3, 3); the identity for brightness, contrast and saturation 1 and hue 0 (hue in turns)."""
    saturation_N11 = saturation_N[:, None, None]
    mixing_N33 = saturation_N11 * np.eye(3) + (1 - saturation_N11) * np.broadcast_to(GREY, (3, 3))
    scale_N11 = (brightness_N * contrast_N)[:, None, None]
    product_N33: Floats = scale_N11 * (hue_rotation(hue_N) @ mixing_N33)
    return product_N33


def contrast_offsets(brightness_N: Floats, contrast_N: Floats) -> Floats:
    """Weights (1 − c)·b·g (N, 3) of the clip's mean colour m in the offset, which is the same for all channels."""
    weights_N3: Floats = ((1 - contrast_N) * brightness_N)[:, None] * GREY
    return weights_N3
