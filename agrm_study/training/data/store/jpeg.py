"""JPEG storage: clips as JPEG frames in Arrow files, for data sets that are too large for raw storage."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from agrm_study.study.errors import InputError
from agrm_study.study.temporary import replacing
from agrm_study.training.data.store.index_file import HINT
from agrm_study.training.data.store.layout import data_file

QUALITY = 95
OPEN_FILES = 256
"""Maximum number of clips whose files stay memory-mapped."""


def encode_frames(frames_TCHW: NDArray[np.uint8]) -> list[bytes]:
    """Encode each RGB frame of (T, 3, H, W) as a JPEG of quality `QUALITY`."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    images = (np.ascontiguousarray(frame.transpose(1, 2, 0)[:, :, ::-1]) for frame in frames_TCHW)
    return [cv2.imencode(".jpg", image, flags)[1].tobytes() for image in images]


def write_jpegs(path: Path, jpegs: Iterable[bytes]) -> None:
    """Write the frames of one clip as an Arrow file with one binary row per frame."""
    table = pa.table({"jpeg": pa.array(list(jpegs), pa.large_binary())})
    path.parent.mkdir(exist_ok=True)
    with replacing(path, durable=False) as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


class JpegFrames:
    """Frames of a JPEG store; one memory-mapped Arrow file per clip.

    Args:
        folder: Folder of the store.
        clip_keys: Key of each clip, by row.
        shapes_N3: Frames, height and width of each clip.
    """

    def __init__(self, folder: Path, clip_keys: Sequence[str], shapes_N3: NDArray[np.int64]) -> None:
        self._paths = [data_file(folder, key, "jpeg") for key in clip_keys]
        self._shapes = shapes_N3
        self._open: OrderedDict[int, Any] = OrderedDict()

    def clip(self, row: int) -> NDArray[np.uint8]:
        """Decode all frames of a clip into (T, 3, H, W).

        Raises:
            InputError: If a frame is damaged.
        """
        frames, height, width = self._shapes[row].tolist()
        out = np.empty((frames, 3, height, width), np.uint8)
        for frame in range(frames):
            out[frame] = self._frame(row, frame)
        return out

    def gather(
        self,
        out_BTCHW: NDArray[np.uint8],
        rows_B: NDArray[np.int64],
        frames_BT: NDArray[np.int64],
        tops_B: NDArray[np.int64],
        lefts_B: NDArray[np.int64],
    ) -> None:
        """Decode one square window per clip into `out_BTCHW` (see `ClipStore.gather`).

        Raises:
            InputError: If a frame is damaged.
        """
        size = out_BTCHW.shape[-1]
        for item, row in enumerate(rows_B.tolist()):
            top, left = int(tops_B[item]), int(lefts_B[item])
            for place, frame in enumerate(frames_BT[item].tolist()):
                out_BTCHW[item, place] = self._frame(row, frame)[:, top : top + size, left : left + size]

    def _frame(self, row: int, frame: int) -> NDArray[np.uint8]:
        data = np.frombuffer(self._jpegs(row)[frame].as_buffer(), dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f"frame {frame} of the clip is damaged", where=self._paths[row], hint=HINT)
        return np.asarray(image[:, :, ::-1].transpose(2, 0, 1), dtype=np.uint8)

    def _jpegs(self, row: int) -> Any:
        if row not in self._open:
            try:
                self._open[row] = pa.ipc.open_file(pa.memory_map(str(self._paths[row]))).read_all().column("jpeg")
            except (OSError, pa.ArrowException) as error:
                message = f"the clip's frames cannot be read ({error})"
                raise InputError(message, where=self._paths[row], hint=HINT) from None
            if len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)
        self._open.move_to_end(row)
        return self._open[row]

    def close(self) -> None:
        """Unmap the files."""
        self._open.clear()
