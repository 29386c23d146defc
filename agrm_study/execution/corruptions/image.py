"""Corruptions of every frame of a clip: occlusion, blur, low light."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

REFERENCE_SIDE: Final = 224
"""Short side, in pixels, to which sizes refer."""
HIDDEN: Final = (0.05, 0.1, 0.2, 0.3, 0.4)
"""Fraction of the frame's area that is hidden, by severity."""
BLUR: Final = (1.0, 2.0, 3.0, 4.0, 6.0)
"""Standard deviation of the Gaussian blur by severity, in pixels at `REFERENCE_SIDE` (Hendrycks & Dietterich 2019)."""
LIGHT: Final = (0.5, 0.3, 0.2, 0.12, 0.07)
"""Fraction of the light that reaches the sensor, by severity."""
PHOTONS: Final = 2000.0
"""Mean number of photons of a white pixel in full light; the number follows a Poisson distribution."""
GREY: Final = 127


def occlusion(frames_TCHW: Frames, severity: int, fps: float, rng: np.random.Generator) -> Frames:
    """A grey rectangle with the frame's aspect ratio, at a random position that is the same in all frames.

    Its area is a fraction of the frame given by `HIDDEN`. The rectangle at a lower severity lies within it.
    """
    height, width = frames_TCHW.shape[2:]
    share = math.sqrt(HIDDEN[severity - 1])
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    down, across = rng.random(2)
    top, left = round(down * (height - rows)), round(across * (width - columns))
    hidden = frames_TCHW.copy()
    hidden[:, :, top : top + rows, left : left + columns] = GREY
    return hidden


def blur(frames_TCHW: Frames, severity: int, fps: float, rng: np.random.Generator) -> Frames:
    """Gaussian blur of every frame, similar to the blur of an out-of-focus lens."""
    sigma = BLUR[severity - 1] * min(frames_TCHW.shape[2:]) / REFERENCE_SIDE
    out = np.empty_like(frames_TCHW)
    for frame_CHW, blurred_CHW in zip(frames_TCHW, out, strict=True):
        image_HWC = np.ascontiguousarray(frame_CHW.transpose(1, 2, 0))
        image_HWC = cv2.GaussianBlur(image_HWC, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        blurred_CHW[:] = image_HWC.transpose(2, 0, 1)
    return out


def low_light(frames_TCHW: Frames, severity: int, fps: float, rng: np.random.Generator) -> Frames:
    """Light reduced to a fraction given by `LIGHT`, with the shot noise of fewer photons at the same exposure.

    Pixels are converted to linear light (sRGB, IEC 61966-2-1) and back.
    """
    photons = linear(np.arange(256) / 255)[frames_TCHW] * (PHOTONS * LIGHT[severity - 1])
    light = rng.poisson(photons).astype(np.float64) / PHOTONS
    return np.asarray(np.clip(np.rint(255 * encoded(light)), 0, 255), dtype=np.uint8)


def linear(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `linear`."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)
