"""Temporal sampling of clips from the stored frames of a video."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def random_windows(uniform_N: Floats, lengths_N: Ints, frames: int) -> Ints:
    """First frame (N,) of one random window per clip, uniform over all windows that fit; 0 for shorter videos.

    Args:
        uniform_N: Random numbers in [0, 1).
        lengths_N: Number of stored frames in each video.
        frames: T, the number of frames per clip.
    """
    fitting_N = np.maximum(lengths_N - frames, 0) + 1
    starts_N: Ints = np.minimum((uniform_N * fitting_N).astype(np.int64), fitting_N - 1)
    return starts_N


def spread_windows(length: int, frames: int, count: int) -> Ints:
    """First frames of distinct windows spread evenly over a video; a count of 1 selects the middle window.

    Args:
        length: Number of stored frames in the video.
        frames: T, the number of frames per clip.
        count: Maximum number of windows; short videos have fewer distinct ones.
    """
    last = max(length - frames, 0)
    if count == 1:
        return np.array([last // 2], dtype=np.int64)
    return np.unique(np.floor(np.linspace(0, last, count) + 0.5).astype(np.int64))


def warped_steps(amplitudes_N2: Floats, frames: int) -> Floats:
    """Times (N, T) of a clip's frames after a smooth time warp, in frames relative to the first frame.

    Time x in [0, 1] becomes x + a₁ sin(πx)/π + a₂ sin(2πx)/2π: the times of the first and the last frame do not change,
    and a clip speeds up or slows down (a₁), or is faster or slower in the middle (a₂). The local speed, the derivative,
    stays within 1 ± (|a₁| + |a₂|), so the times increase as long as that sum is below 1.

    Args:
        amplitudes_N2: a₁ and a₂ of each clip.
        frames: T, the number of frames per clip.
    """
    times_T = np.linspace(0.0, 1.0, frames)
    waves_2T = np.stack([np.sin(np.pi * times_T) / np.pi, np.sin(2 * np.pi * times_T) / (2 * np.pi)])
    steps_NT: Floats = np.arange(frames) + (frames - 1) * (amplitudes_N2 @ waves_2T)
    return steps_NT


def frame_indices(
    starts_N: Ints,
    lengths_N: Ints,
    frames: int,
    speeds_N: Floats | None = None,
    jitter_NT: Ints | None = None,
    steps_NT: Floats | None = None,
) -> Ints:
    """Indices (N, T) of each clip's stored frames, non-decreasing and within the video; short videos repeat the last
    frame.

    A speed s stretches the window about its centre to steps of s frames; a window that extends beyond the video is
    moved back inside. Jitter then displaces each frame. Sorting restores temporal order without increasing any
    displacement. Warped times are stretched with the window.

    Args:
        starts_N: First frame of each window at speed 1.
        lengths_N: Number of stored frames in each video.
        frames: T, the number of frames per clip.
        speeds_N: Speed factor of each clip; None for 1.
        jitter_NT: Displacement of each frame, in stored frames; None for 0.
        steps_NT: Times in frames relative to the first frame (see `warped_steps`); None for 0, 1, 2, ….
    """
    if speeds_N is None and steps_NT is None:
        indices_NT = starts_N[:, None] + np.arange(frames)
    else:
        speeds_N = np.ones(len(starts_N)) if speeds_N is None else speeds_N
        steps = np.arange(frames) if steps_NT is None else steps_NT
        span_N = (frames - 1) * speeds_N
        latest_N = np.maximum(lengths_N - 1 - span_N, 0.0)
        first_N = np.clip(starts_N + (frames - 1 - span_N) / 2, 0.0, latest_N)
        indices_NT = np.floor(first_N[:, None] + speeds_N[:, None] * steps + 0.5).astype(np.int64)
    if jitter_NT is not None:
        indices_NT = np.sort(indices_NT + jitter_NT, axis=1)
    inside_NT: Ints = np.clip(indices_NT, 0, lengths_N[:, None] - 1)
    return inside_NT
