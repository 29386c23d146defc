"""Temporal sampling: the stored frames that make up a clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def random_windows(uniform_N: Floats, lengths_N: Ints, frames: int) -> Ints:
    """First frame (N,) of one random window per clip, uniform over all windows that fit; 0 for shorter videos.

    Args:
        uniform_N: Random numbers in [0, 1).
        lengths_N: Number of stored frames of each video.
        frames: T, the number of frames of a clip.
    """
    fitting_N = np.maximum(lengths_N - frames, 0) + 1
    starts_N: Ints = np.minimum((uniform_N * fitting_N).astype(np.int64), fitting_N - 1)
    return starts_N


def spread_windows(length: int, frames: int, count: int) -> Ints:
    """First frames of distinct windows spread evenly over a video; the middle window for a count of 1.

    Args:
        length: Number of stored frames of the video.
        frames: T, the number of frames of a clip.
        count: Maximum number of windows; short videos have fewer distinct ones.
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
    """Stored frames (N, T) of each clip, non-decreasing and within the video (short videos repeat their last frame).

    A speed s stretches the window about its centre to steps of s frames; a window that leaves the video is moved back
    inside. Jitter then displaces each frame. Sorting restores temporal order without increasing any displacement.

    Args:
        starts_N: First frame of each window at speed 1.
        lengths_N: Number of stored frames of each video.
        frames: T, the number of frames of a clip.
        speeds_N: Speed factor of each clip; None for 1.
        jitter_NT: Displacement of each frame, in stored frames; None for 0.
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
