"""Videos of explained clips: the clip next to its map, at the clip's speed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np

from agrm_study.explain.panels import Explained, enlarged
from agrm_study.training.data.datasets.synthetic.encode import encode

SHORTEST_S: Final = 4.0
"""Minimum duration in seconds; the clip is repeated until it is reached."""
_SIDE: Final = 320


def write_movie(explained: Explained, path: Path, fps: float) -> None:
    """Write frames and overlays side by side as an H.264 video.

    Args:
        explained: The explained clip.
        path: Output file (.mp4).
        fps: Frame rate of the clip, in frames per second.
    """
    side = max(_SIDE, explained.frames_THWC.shape[1])
    side += side % 2
    frames, maps = enlarged(explained, side)
    pairs = np.concatenate([frames, maps], axis=2)
    turns = max(1, math.ceil(SHORTEST_S * fps / len(pairs)))
    encode(
        path,
        (frame for _ in range(turns) for frame in pairs),
        fps=fps,
        width=2 * side,
        height=side,
        codec="h264",
        quality=0.0,
    )
