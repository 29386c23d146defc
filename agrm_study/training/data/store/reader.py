"""Read access to a finished store.

The flat file of a raw store is memory-mapped, so that all trials on a node share one copy in the page cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agrm_study.training.data.store.index_file import read_index, read_settings
from agrm_study.training.data.store.jpeg import JpegFrames
from agrm_study.training.data.store.raw import RawFrames


class ClipStore:
    """Read-only access to a finished store; pickled as its path.

    Attributes:
        path: Folder of the store.
        clip_ids: Clip ids by row.
        settings: The preprocessing (`fps`, `crop`, `resize`, …).
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.settings: dict[str, Any] = read_settings(self.path)
        index = read_index(self.path)
        self.clip_ids: tuple[str, ...] = tuple(index["clip_id"])
        self._row = {clip_id: row for row, clip_id in enumerate(self.clip_ids)}
        self._frames = np.asarray(index["frames"], dtype=np.int64)
        self._height = np.asarray(index["height"], dtype=np.int64)
        self._width = np.asarray(index["width"], dtype=np.int64)
        offsets = np.asarray(index["offset"], dtype=np.int64)
        shapes = np.stack([self._frames, self._height, self._width], axis=1)
        self._pixels: RawFrames | JpegFrames
        if self.settings["storage"] == "jpeg":
            self._pixels = JpegFrames(self.path, index["clip_key"], shapes)
        else:
            self._pixels = RawFrames(self.path, offsets, shapes)

    @classmethod
    def open(cls, path: Path | str) -> ClipStore:
        """Open the store in a folder.

        Raises:
            InputError: If the folder contains no finished store, or one of its files is missing or damaged.
        """
        return cls(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return ClipStore.open, (self.path,)

    def __len__(self) -> int:
        return len(self.clip_ids)

    def row(self, clip_id: str) -> int:
        """Row of a clip.

        Raises:
            KeyError: If the store does not contain the clip.
        """
        return self._row[clip_id]

    def frames(self, row: int) -> int:
        """Number of stored frames in a clip, at `settings["fps"]`."""
        return int(self._frames[row])

    def height(self, row: int) -> int:
        """Height of a stored frame, in pixels."""
        return int(self._height[row])

    def width(self, row: int) -> int:
        """Width of a stored frame, in pixels."""
        return int(self._width[row])

    def clip(self, row: int) -> NDArray[np.uint8]:
        """All frames (T, 3, H, W) of a clip; for a raw store, a read-only view of the mapped file."""
        return self._pixels.clip(row)

    def gather(
        self, rows_B: ArrayLike, frames_BT: ArrayLike, tops_B: ArrayLike, lefts_B: ArrayLike, size: int
    ) -> NDArray[np.uint8]:
        """Copy one square window from each of B clips.

        Args:
            rows_B: Rows of the clips in the store.
            frames_BT: Indices of stored frames, in any order; repeats are allowed.
            tops_B, lefts_B: Top row and left column of each square, in pixels.
            size: Side of the square, in pixels.

        Returns:
            RGB windows (B, T, 3, size, size).

        Raises:
            IndexError: If a frame or a square lies outside its clip.
        """
        rows, frames = np.asarray(rows_B, dtype=np.int64), np.asarray(frames_BT, dtype=np.int64)
        tops, lefts = np.asarray(tops_B, dtype=np.int64), np.asarray(lefts_B, dtype=np.int64)
        fits = (
            (frames.min(axis=1, initial=0) >= 0)
            & (frames.max(axis=1, initial=0) < self._frames[rows])
            & (tops >= 0)
            & (lefts >= 0)
            & (tops + size <= self._height[rows])
            & (lefts + size <= self._width[rows])
        )
        if not fits.all():
            bad = int(rows[int(np.argmin(fits))])
            held = f"{self.frames(bad)} frames of {self.height(bad)}x{self.width(bad)}"
            raise IndexError(f"a window lies outside clip {self.clip_ids[bad]}, which has {held}")
        out = np.empty((len(rows), frames.shape[1], 3, size, size), np.uint8)
        self._pixels.gather(out, rows, frames, tops, lefts)
        return out

    def close(self) -> None:
        """Unmap the file; gathered windows stay valid."""
        self._pixels.close()
