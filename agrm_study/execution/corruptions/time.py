"""Temporal corruptions: dropped frames and jitter."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

DROPPED: Final = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Probability that a frame is lost, by severity."""
REACH: Final = (1, 2, 3, 4, 5)
"""Maximum temporal displacement of a frame, in frames, by severity."""


def frame_drop(frames_TCHW: Frames, severity: int, fps: float, rng: np.random.Generator) -> Frames:
    """Drops frames independently; the last kept frame is repeated in their place. The first frame is kept."""
    lost_T = rng.random(len(frames_TCHW)) < DROPPED[severity - 1]
    lost_T[0] = False
    last_T = np.maximum.accumulate(np.where(lost_T, 0, np.arange(len(frames_TCHW))))
    return np.asarray(frames_TCHW[last_T])


def jitter(frames_TCHW: Frames, severity: int, fps: float, rng: np.random.Generator) -> Frames:
    """Replaces each frame with a uniformly random frame at most `REACH` frames earlier or later."""
    length, reach = len(frames_TCHW), REACH[severity - 1]
    shift_T = np.floor(rng.random(length) * (2 * reach + 1)).astype(np.int64) - reach
    return np.asarray(frames_TCHW[np.clip(np.arange(length) + shift_T, 0, length - 1)])
