"""Container metadata of a video file, read from its packets without decoding all frames."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class VideoError(Exception):
    """A video cannot be used; the message states the reason in one line.

    Attributes:
        kind: `unreadable`, `missing`, `zero_length`, `truncated`, `changed` or `no_boxes`.
    """

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message, kind)
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Container metadata of a video file.

    Attributes:
        frames: Number of presented frames, that is, packets that an edit list does not discard.
        promised: Number of packets stated by the container's header or index; 0 if it states none.
        packets: Number of packets in the file.
        fps: Mean frames per second: (frames - 1) / (time of the last - time of the first frame), rounded to 1e-6.
        width, height: Displayed size (after rotation), in pixels.
        rotation: Clockwise rotation stated by the container, in degrees: 0, 90, 180 or 270.
        codec, container: FFmpeg's names.
        reordered: Whether the storage order differs from the display order (B-frames).
        edit_list: Whether an edit list hides part of the stream.
        variable_rate: Whether the steps between frames vary by more than half of the median step.
        times: Increasing times (frames,) in seconds from the first presented frame.
    """

    frames: int
    promised: int
    packets: int
    fps: float
    width: int
    height: int
    rotation: int
    codec: str
    container: str
    reordered: bool
    edit_list: bool
    variable_rate: bool
    times: NDArray[np.float64]

    @property
    def truncated(self) -> bool:
        """Whether the file contains fewer packets than its container states."""
        return self.packets < self.promised


def read_info(path: Path | str) -> VideoInfo:
    """Read a container's header and packets.

    Raises:
        VideoError: The file does not exist, has no video stream or no frames, or its container cannot be parsed.
    """
    import av

    if not Path(path).is_file():
        raise VideoError("the file does not exist", "missing")
    if Path(path).stat().st_size == 0:
        raise VideoError("the file is empty (0 bytes)", "zero_length")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("the file has no video stream")
            stream = container.streams.video[0]
            name, codec = container.format.name, stream.codec_context.name
            promised = len(stream.index_entries) if "mp4" in name else int(stream.frames)
            rate = float(stream.average_rate or stream.guessed_rate or 0.0)
            packets, stamps, discarded = _packets(container, stream)
            reordered = bool(stream.codec_context.has_b_frames) or _out_of_order(stamps)
        if packets == 0:
            raise VideoError("the video has no frames", "zero_length")
        if codec == "mpeg4" and name == "avi" and reordered:
            stamps = [None] * _count_decoded(path)
        rotation, width, height = _first_frame(path)
    except av.InvalidDataError as error:
        raise VideoError(f"not a video, or the file is truncated ({_short(error)})") from None
    except av.FFmpegError as error:
        raise VideoError(f"the file cannot be read ({_short(error)})") from None
    times = _times(stamps, rate)
    steps = np.diff(times)
    span = float(times[-1]) if len(times) > 1 else 0.0
    return VideoInfo(
        frames=len(stamps),
        promised=promised,
        packets=packets,
        fps=round((len(times) - 1) / span, 6) if span > 0 else rate,
        width=width,
        height=height,
        rotation=rotation,
        codec=codec,
        container=name,
        reordered=reordered,
        edit_list=discarded > 0,
        variable_rate=bool(len(steps) > 1 and np.ptp(steps) > 0.5 * float(np.median(steps)) + 0.002),
        times=times,
    )


def _packets(container: Any, stream: Any) -> tuple[int, list[float | None], int]:
    """Number of non-empty packets, presentation times (seconds) of the presented ones, number of discarded ones."""
    packets, discarded = 0, 0
    stamps: list[float | None] = []
    base = float(stream.time_base)
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        packets += 1
        if packet.is_discard:
            discarded += 1
        else:
            stamps.append(None if packet.pts is None else packet.pts * base)
    return packets, stamps, discarded


def _out_of_order(stamps: list[float | None]) -> bool:
    known = [stamp for stamp in stamps if stamp is not None]
    return any(later < earlier for earlier, later in itertools.pairwise(known))


def _times(stamps: list[float | None], rate: float) -> NDArray[np.float64]:
    """Seconds from the first frame; evenly spaced at the container's rate if it stores no usable times."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) and len(set(known)) == len(known):
        return np.sort(np.asarray(known, dtype=np.float64)) - min(known)
    return np.arange(len(stamps), dtype=np.float64) / (rate or 25.0)


def _count_decoded(path: Path | str) -> int:
    """Number of frames that the decoder outputs.

    DivX and XviD store two B-frames per packet and pad with empty packets, so the packet count of an avi file is wrong.
    """
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def _first_frame(path: Path | str) -> tuple[int, int, int]:
    """Clockwise rotation in degrees, and displayed width and height, of the first decodable frame."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            # FFmpeg's rotation is counter-clockwise, from -180 to 180.
            rotation = round(-frame.rotation / 90) * 90 % 360
            shown = (frame.width, frame.height) if rotation % 180 == 0 else (frame.height, frame.width)
            return rotation, *shown
    raise VideoError("no frame can be decoded")


def _short(error: Exception) -> str:
    text = str(error)
    return text.split("] ", 1)[-1].split(": '")[0].strip() or type(error).__name__
