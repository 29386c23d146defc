"""Decoder based on decord, restricted to files for which decord is frame-exact.

Limitations of decord and their workarounds:

- An open reader decodes ahead at full resolution without limit. A new reader is therefore opened for each file, with
  a target size and one thread, and deleted afterwards.
- Seeking silently returns the wrong frame in MPEG-4 with B-frames and in H.264 in avi, mpg, asf and mpegts; frames of
  files with an edit list are repeated; if there are several streams, decord may select a different one. `handles`
  accepts only containers and codecs for which decord was verified to be exact.
- decord2 3.4 overestimates the width of rows if padding them to a multiple of 64 pixels adds at least a third (for
  example at 32 or 96 pixels), and fails before the first frame for such widths below 192 pixels. These files are
  decoded by PyAV.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.decoder import Decoder, chunks
from agrm_study.training.data.decoding.error import VideoError
from agrm_study.training.data.decoding.video import VideoInfo

REORDERING_SAFE = frozenset({"h264", "hevc", "vp8", "vp9"})
"""Codecs that decord reads exactly in mp4 and matroska, with or without B-frames."""
INTRA_OR_PLAIN = frozenset({"mjpeg", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3"})
"""Codecs that decord reads exactly if frames are stored in display order."""


class DecordDecoder(Decoder):
    """Decoder based on decord or its maintained fork decord2 (same import name)."""

    name = "decord"

    def available(self) -> bool:
        return importlib.util.find_spec("decord") is not None

    def handles(self, info: VideoInfo) -> bool:
        if info.edit_list or info.streams > 1:
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
            raise VideoError(f"decord cannot open the file ({_first_line(error)})") from None
        try:
            if len(reader) != info.frames:
                raise VideoError(f"decord finds {len(reader)} frames; the container has {info.frames}")
            for chunk in chunks(indices, width, height):
                yield np.asarray(reader.get_batch(chunk).asnumpy(), dtype=np.uint8)
        except (RuntimeError, IndexError, decord.DECORDError) as error:
            raise VideoError(f"decord cannot read the frames ({_first_line(error)})") from None
        finally:
            del reader


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
