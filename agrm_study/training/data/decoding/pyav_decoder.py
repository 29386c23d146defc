"""Decoder based on PyAV; decodes from the start to the last requested frame, which is exact for every video file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.decoder import Decoder, chunks
from agrm_study.training.data.decoding.error import VideoError
from agrm_study.training.data.decoding.images import CONTAINER
from agrm_study.training.data.decoding.video import VideoInfo


class PyavDecoder(Decoder):
    """PyAV decoder: slower than decord if frames are skipped, but exact for all video files (e.g. edit lists, AV1)."""

    name = "pyav"

    def available(self) -> bool:
        return importlib.util.find_spec("av") is not None

    def handles(self, info: VideoInfo) -> bool:
        return info.container != CONTAINER

    def read(
        self, path: Path, info: VideoInfo, indices: Sequence[int], width: int, height: int
    ) -> Iterator[NDArray[np.uint8]]:
        frames = self._frames(path, info, sorted(set(indices)), width, height)
        position, frame = -1, np.empty((0, 0, 3), np.uint8)
        for chunk in chunks(indices, width, height):
            batch = np.empty((len(chunk), height, width, 3), np.uint8)
            for place, index in enumerate(chunk):
                if index != position:
                    position, frame = next(frames)
                batch[place] = frame
            yield batch

    def _frames(
        self, path: Path, info: VideoInfo, wanted: Sequence[int], width: int, height: int
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield each requested index and frame once.

        Raises:
            VideoError: If the file cannot be decoded, or ends before the last requested frame.
        """
        import av

        size = (width, height) if info.rotation % 180 == 0 else (height, width)
        todo = iter(wanted)
        target = next(todo, None)
        position = -1
        try:
            with av.open(str(path)) as container:
                stream = container.streams[info.stream]
                stream.codec_context.thread_count = 1
                for position, frame in enumerate(container.decode(stream)):
                    if position != target:
                        continue
                    image = frame.reformat(*size, format="rgb24", interpolation="BICUBIC").to_ndarray()
                    yield position, np.rot90(image, k=-info.rotation // 90)
                    target = next(todo, None)
                    if target is None:
                        return
        except av.FFmpegError as error:
            raise VideoError(f"PyAV cannot read past frame {position} ({error.strerror})") from None
        if target is not None:
            raise VideoError(
                f"the video ends after {position + 1} frames; its container specifies {info.frames}", "truncated"
            )
