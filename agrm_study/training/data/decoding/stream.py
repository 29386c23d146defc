"""Selection of the video stream from which both metadata and pixels are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from agrm_study.training.data.decoding.error import VideoError

PICTURE_FORMATS: Final = ("image2", "_pipe")
"""Substrings of FFmpeg's names for single-image formats."""


def video_stream(container: Any, path: Path | str) -> Any:
    """Select the default video stream with more than one frame, or the first such stream if none is default.

    Attached pictures are ignored.

    Args:
        container: The open file (PyAV).
        path: The file, which is opened again to count frames if it has several streams.

    Raises:
        VideoError: If the file has no video stream, only still images, or a stream with an unknown codec.
    """
    if not container.streams.video:
        raise VideoError("the file has no video stream")
    if any(part in container.format.name for part in PICTURE_FORMATS):
        raise VideoError(STILL)
    streams = [stream for stream in container.streams.video if not _has(stream, "attached_pic")]
    if len(container.streams.video) > 1:
        moving = _moving(path, [stream.index for stream in streams])
        streams = [stream for stream in streams if stream.index in moving]
    if not streams:
        raise VideoError("the file's only video streams are cover images")
    chosen = next((stream for stream in streams if _has(stream, "default")), streams[0])
    if chosen.codec_context is None:
        raise VideoError("the codec of the video is unknown")
    return chosen


STILL: Final = "a still image, not a video"


def _has(stream: Any, name: str) -> bool:
    import av

    return bool(stream.disposition & av.stream.Disposition[name])


def _moving(path: Path | str, indices: list[int]) -> set[int]:
    """Indices of the streams that have more than one packet; reads only as much of the file as necessary."""
    import av

    counts = dict.fromkeys(indices, 0)
    with av.open(str(path)) as container:
        for packet in container.demux([container.streams[index] for index in indices]):
            if packet.size:
                counts[packet.stream.index] += 1
            if all(count > 1 for count in counts.values()):
                break
    return {index for index, count in counts.items() if count > 1}
