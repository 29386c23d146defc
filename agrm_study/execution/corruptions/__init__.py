"""Corruptions of decoded clips, by name, with five severities each.

A corruption accepts and returns the RGB frames of a whole clip, uint8 (T, 3, H, W). Sizes in pixels refer to a short
side of 224 pixels and scale with the short side of the clip. The random numbers of a clip depend on its id, the
corruption and a seed, and are the same at every severity: as the severity increases, a hidden region grows, and dropped
frames stay dropped.

The blur follows Hendrycks & Dietterich (2019), *Benchmarking neural network robustness to common corruptions and
perturbations*, and the low-light noise follows their shot noise with physical photon counts; the other corruptions
are defined here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agrm_study.execution.corruptions.compression import compression
from agrm_study.execution.corruptions.image import blur, low_light, occlusion
from agrm_study.execution.corruptions.time import frame_drop, jitter
from agrm_study.training.generators import generator

Frames = NDArray[np.uint8]
Corruption = Callable[[Frames, int, float, np.random.Generator], Frames]
"""(frames (T, 3, H, W), severity from 1 to 5, frames per second, random numbers) → frames of the same shape."""

CORRUPTIONS: Final[Mapping[str, Corruption]] = {
    "occlusion": occlusion,
    "blur": blur,
    "low_light": low_light,
    "frame_drop": frame_drop,
    "jitter": jitter,
    "compression": compression,
}


def corrupted(frames_TCHW: Frames, kind: str, severity: int, *, fps: float, clip_id: str, seed: int) -> Frames:
    """Apply a corruption to the frames of a clip.

    Args:
        frames_TCHW: RGB frames (T, 3, H, W), uint8.
        kind: Key of `CORRUPTIONS`.
        severity: 1 (mild) to 5 (severe).
        clip_id: Determines the random numbers, together with `kind` and `seed`.

    Returns:
        New frames of the same shape.
    """
    rng = generator(seed, f"corruption/{kind}/{clip_id}")
    return np.ascontiguousarray(CORRUPTIONS[kind](frames_TCHW, severity, fps, rng))
