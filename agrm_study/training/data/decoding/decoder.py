"""Interface of a video decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.video import VideoInfo

CHUNK_BYTES = 32 << 20
"""Maximum size of the decoded frames that a decoder keeps in memory at a time, in bytes."""


class Decoder(ABC):
    """Frame-exact reader of a file that applies the container's rotation and resizes frames to a requested size."""

    name: str

    @abstractmethod
    def available(self) -> bool:
        """Whether the library is installed."""

    @abstractmethod
    def handles(self, info: VideoInfo) -> bool:
        """Whether the decoder is frame-exact for this kind of file."""

    @abstractmethod
    def read(
        self, path: Path, info: VideoInfo, indices: Sequence[int], width: int, height: int
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the requested RGB frames in chunks (n, height, width, 3).

        Args:
            path: The video file.
            info: Result of `read_info` for this file.
            indices: 0-based indices of presented frames, non-decreasing.
            width, height: Output size after rotation, in pixels.

        Raises:
            VideoError: If the file cannot be decoded up to the last index.
        """


def chunks(indices: Sequence[int], width: int, height: int) -> Iterator[list[int]]:
    """Split indices into runs whose decoded frames fit in `CHUNK_BYTES` (at least one frame per run)."""
    size = max(1, CHUNK_BYTES // (width * height * 3))
    for start in range(0, len(indices), size):
        yield list(indices[start : start + size])
