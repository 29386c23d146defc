"""What must a decoder do?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.video import VideoInfo

CHUNK_BYTES = 32 << 20
"""Decoded bytes that a decoder may hold at once."""


class Decoder(ABC):
    """Reads exact frames of a file, rotated as the container asks, at a size of the caller's choice."""

    name: str

    @abstractmethod
    def available(self) -> bool:
        """Whether the library is installed."""

    @abstractmethod
    def handles(self, info: VideoInfo) -> bool:
        """Whether it is exact on such a file."""

    @abstractmethod
    def read(
        self, path: Path, info: VideoInfo, indices: Sequence[int], width: int, height: int
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the frames asked for, in chunks (n, height, width, 3) of RGB.

        Args:
            path: The file.
            info: What `read_info` said of it.
            indices: Presented frames, from 0, not decreasing.
            width, height: Size after rotation, in pixels.

        Raises:
            VideoError: A file that cannot be decoded up to the last index.
        """


def chunks(indices: Sequence[int], width: int, height: int) -> Iterator[list[int]]:
    """Indices in runs whose decoded frames stay below `CHUNK_BYTES`."""
    size = max(1, CHUNK_BYTES // (width * height * 3))
    for start in range(0, len(indices), size):
        yield list(indices[start : start + size])
