"""Which stored frames make a clip?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def random_windows(uniform_N: Floats, lengths_N: Ints, frames: int) -> Ints:
    """First frames of one random window a clip: uniform over all that fit, 0 where the video is not longer.

    Args:
        uniform_N: Numbers in [0, 1).
        lengths_N: Stored frames of each video.
        frames: Frames of a clip, T.
    """
    fitting_N = np.maximum(lengths_N - frames, 0) + 1
    starts_N: Ints = np.minimum((uniform_N * fitting_N).astype(np.int64), fitting_N - 1)
    return starts_N


def spread_windows(length: int, frames: int, count: int) -> Ints:
    """First frames of windows spread evenly over a video, without repeats: the middle one for a count of 1.

    Args:
        length: Stored frames of the video.
        frames: Frames of a clip, T.
        count: Windows asked for; a short video has fewer that differ.
    """
    last = max(length - frames, 0)
    if count == 1:
        return np.array([last // 2], dtype=np.int64)
    return np.unique(np.floor(np.linspace(0, last, count) + 0.5).astype(np.int64))


def frame_indices(
    starts_N: Ints,
    lengths_N: Ints,
    frames: int,
    speeds_N: Floats | None = None,
    jitter_NT: Ints | None = None,
) -> Ints:
    """Stored frames of each clip, (N, T), rising and inside the video (a short video repeats its last frame).

    A speed s stretches the window about its centre to steps of s frames, moved back inside the video where it leaves
    it; a jitter then displaces each frame, and sorting keeps the order of time without enlarging any displacement.

    Args:
        starts_N: First frame of each window at speed 1.
        lengths_N: Stored frames of each video.
        frames: Frames of a clip, T.
        speeds_N: Speed factor of each clip.
        jitter_NT: Displacement of each frame, in stored frames.
    """
    steps_T = np.arange(frames)
    if speeds_N is None:
        indices_NT = starts_N[:, None] + steps_T
    else:
        span_N = (frames - 1) * speeds_N
        latest_N = np.maximum(lengths_N - 1 - span_N, 0.0)
        first_N = np.clip(starts_N + (frames - 1 - span_N) / 2, 0.0, latest_N)
        indices_NT = np.floor(first_N[:, None] + speeds_N[:, None] * steps_T + 0.5).astype(np.int64)
    if jitter_NT is not None:
        indices_NT = np.sort(indices_NT + jitter_NT, axis=1)
    inside_NT: Ints = np.clip(indices_NT, 0, lengths_N[:, None] - 1)
    return inside_NT
