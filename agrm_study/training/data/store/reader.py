"""How does a training step get its windows out of a store?

The flat file is mapped into memory, so all trials of a node share one copy of it in the page cache and none holds the
store itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from agrm_study.study.errors import InputError
from agrm_study.training.data.store.jpeg import JpegFrames
from agrm_study.training.data.store.layout import INDEX_FILE, STORE_FILE
from agrm_study.training.data.store.raw import RawFrames


class ClipStore:
    """A finished store, read only; pickles as its path.

    Attributes:
        path: Its folder.
        clip_ids: Clips by row.
        settings: The preprocessing (`fps`, `crop`, `resize`, …).
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self.settings: dict[str, Any] = json.loads((self.path / STORE_FILE).read_text())["clip"]
        except FileNotFoundError:
            raise InputError("there is no finished clip store", where=path, hint="`agrm-study data build`") from None
        index = pq.read_table(self.path / INDEX_FILE).to_pydict()
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
        """Open a store by its folder.

        Raises:
            InputError: There is none, or it was never finished.
        """
        return cls(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return ClipStore.open, (self.path,)

    def __len__(self) -> int:
        return len(self.clip_ids)

    def row(self, clip_id: str) -> int:
        """Row of a clip.

        Raises:
            KeyError: The store does not hold it.
        """
        return self._row[clip_id]

    def frames(self, row: int) -> int:
        """Stored frames of a clip, at `settings["fps"]`."""
        return int(self._frames[row])

    def height(self, row: int) -> int:
        """Pixels."""
        return int(self._height[row])

    def width(self, row: int) -> int:
        """Pixels."""
        return int(self._width[row])

    def clip(self, row: int) -> NDArray[np.uint8]:
        """All frames of a clip, (T, 3, H, W); a read-only view of the mapped file where the store is raw."""
        return self._pixels.clip(row)

    def gather(
        self, rows_B: ArrayLike, frames_BT: ArrayLike, tops_B: ArrayLike, lefts_B: ArrayLike, size: int
    ) -> NDArray[np.uint8]:
        """Copy one window out of each of B clips.

        Args:
            rows_B: Rows of the clips.
            frames_BT: Stored frames, in any order, repeats allowed.
            tops_B, lefts_B: First row and column of the square.
            size: Its side, in pixels.

        Returns:
            (B, T, 3, size, size).

        Raises:
            IndexError: A frame or a square that the clip does not hold.
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
            raise IndexError(f"a window lies outside clip {self.clip_ids[bad]}, which holds {held}")
        out = np.empty((len(rows), frames.shape[1], 3, size, size), np.uint8)
        self._pixels.gather(out, rows, frames, tops, lefts)
        return out

    def close(self) -> None:
        """Unmap the file; a window that was gathered stays valid."""
        self._pixels.close()
