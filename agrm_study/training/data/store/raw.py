"""Raw storage: planar uint8 clips in one memory-mapped flat file."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.errors import InputError
from agrm_study.training.data.store.index_file import HINT
from agrm_study.training.data.store.layout import RAW_FILE

ADVICE_S = 60.0
"""Seconds for which requested pages are assumed to stay in memory.

Requests are not repeated within this time, because a request takes about a fifth of the time of a copy from memory.
"""
ADVICE_FRAMES = 16
"""Windows that start within the same block of this many frames share one read-ahead request."""


class RawFrames:
    """Frames of a raw store; each clip is a (T, 3, H, W) array at its offset in the file.

    Args:
        folder: Folder of the store.
        offsets_N: Byte offset of each clip, by row.
        shapes_N3: Frames, height and width of each clip.

    Raises:
        InputError: If the file is missing or too short.
    """

    def __init__(self, folder: Path, offsets_N: NDArray[np.int64], shapes_N3: NDArray[np.int64]) -> None:
        path, needed = folder / RAW_FILE, int((offsets_N + 3 * shapes_N3.prod(axis=1)).max(initial=0))
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise InputError(f"the clip store's frames cannot be read ({error})", where=path, hint=HINT) from None
        if len(self._map) < needed:
            size = f"{len(self._map)} bytes"
            message = "the clip store's frames are truncated"
            raise InputError(message, where=path, given=size, allowed=f"{needed} bytes", hint=HINT)
        self._offset: list[int] = offsets_N.tolist()
        self._shape: list[list[int]] = shapes_N3.tolist()
        self._advised: set[tuple[int, int]] = set()
        self._advised_since = time.monotonic()

    def clip(self, row: int) -> NDArray[np.uint8]:
        """All frames (T, 3, H, W) of a clip, without copying them."""
        frames, height, width = self._shape[row]
        return np.ndarray((frames, 3, height, width), np.uint8, buffer=self._map, offset=self._offset[row])

    def gather(
        self,
        out_BTCHW: NDArray[np.uint8],
        rows_B: NDArray[np.int64],
        frames_BT: NDArray[np.int64],
        tops_B: NDArray[np.int64],
        lefts_B: NDArray[np.int64],
    ) -> None:
        """Copy one square window per clip into `out_BTCHW` (see `ClipStore.gather`).

        Read-ahead is requested for all windows before the first copy, so that the disk serves uncached windows
        concurrently. A window's rows are copied as items of `size` bytes each, for which numpy uses one `memmove` per
        row.
        """
        if not out_BTCHW.size:
            return
        rows, tops, lefts = rows_B.tolist(), tops_B.tolist(), lefts_B.tolist()
        self._read_ahead(rows, frames_BT.min(axis=1).tolist(), frames_BT.max(axis=1).tolist())
        batch, length, _, size, _ = out_BTCHW.shape
        line = np.dtype((np.void, size))
        out_BTCH = out_BTCHW.reshape(-1).view(line).reshape(batch, length, 3, size)
        steps_BT = np.diff(frames_BT, axis=1, append=frames_BT[:, -1:] + 1)
        even_B = (steps_BT[:, :-1] == steps_BT[:, :1]).all(axis=1) & (steps_BT[:, 0] > 0)
        steps = steps_BT[:, 0].tolist()
        for item, (row, top, left, even) in enumerate(zip(rows, tops, lefts, even_B.tolist(), strict=True)):
            _, height, width = self._shape[row]
            plane = height * width
            corner = self._offset[row] + top * width + left
            if even:
                start = corner + int(frames_BT[item, 0]) * 3 * plane
                strides = (steps[item] * 3 * plane, plane, width)
                out_BTCH[item] = np.ndarray((length, 3, size), line, self._map, start, strides)
                continue
            for place, frame in enumerate(frames_BT[item].tolist()):
                start = corner + frame * 3 * plane
                out_BTCH[item, place] = np.ndarray((3, size), line, self._map, start, (plane, width))

    def _read_ahead(self, rows: list[int], first: list[int], last: list[int]) -> None:
        """Request read-ahead of the windows' bytes from the kernel."""
        now = time.monotonic()
        if now - self._advised_since > ADVICE_S:
            self._advised.clear()
            self._advised_since = now
        for row, begin, end in zip(rows, first, last, strict=True):
            place = (row, begin // ADVICE_FRAMES)
            if place not in self._advised:
                self._advised.add(place)
                _, height, width = self._shape[row]
                start = self._offset[row] + begin * 3 * height * width
                start -= start % mmap.PAGESIZE
                stop = self._offset[row] + (end + 1) * 3 * height * width
                self._map.madvise(mmap.MADV_WILLNEED, start, stop - start)

    def close(self) -> None:
        """Release the file; it is unmapped when its last view is garbage-collected."""
        self._shape = []
