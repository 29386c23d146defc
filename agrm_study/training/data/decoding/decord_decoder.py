"""How does decord read frames, its traps avoided?

A living reader decodes ahead without bound at full resolution, so a reader is opened for one file, with a size and one
thread, and deleted after it. Its seeks land on the wrong frame, without an error, in MPEG-4 with B-frames, H.264 in
avi, mpg, asf and mpegts, and it repeats frames of files with an edit list: only containers and codecs on which it was
found exact are read with it. decord2 3.4 refuses some widths below 192 pixels (it takes rows for wider than they are
where padding them to 64 pixels adds a third, at 32 or 96 say): it raises before the first frame, and PyAV reads those.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.decoder import Decoder, chunks
from agrm_study.training.data.decoding.video import VideoError, VideoInfo

REORDERING_SAFE = frozenset({"h264", "hevc", "vp8", "vp9"})
"""Codecs whose frames it finds in mp4 and matroska with and without B-frames."""
INTRA_OR_PLAIN = frozenset({"mjpeg", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3"})
"""Codecs whose frames it finds when they are stored in the order in which they are shown."""


class DecordDecoder(Decoder):
    """decord, or its maintained fork decord2 (the same import name)."""

    name = "decord"

    def available(self) -> bool:
        return importlib.util.find_spec("decord") is not None

    def handles(self, info: VideoInfo) -> bool:
        if info.edit_list:
            return False
        if info.container == "avi":
            return info.codec in INTRA_OR_PLAIN and not info.reordered
        if info.container.startswith(("mov,mp4", "matroska")):
            return info.codec in REORDERING_SAFE or (info.codec in INTRA_OR_PLAIN and not info.reordered)
        return False

    def read(
        self, path: Path, info: VideoInfo, indices: Sequence[int], width: int, height: int
    ) -> Iterator[NDArray[np.uint8]]:
        import decord

        try:
            reader = decord.VideoReader(str(path), ctx=decord.cpu(0), width=width, height=height, num_threads=1)
        except (RuntimeError, decord.DECORDError) as error:
            raise VideoError(f"decord cannot open it ({_first_line(error)})") from None
        try:
            if len(reader) != info.frames:
                raise VideoError(f"decord finds {len(reader)} frames where the container holds {info.frames}")
            for chunk in chunks(indices, width, height):
                yield np.asarray(reader.get_batch(chunk).asnumpy(), dtype=np.uint8)
        except (RuntimeError, IndexError, decord.DECORDError) as error:
            raise VideoError(f"decord cannot read its frames ({_first_line(error)})") from None
        finally:
            del reader


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
