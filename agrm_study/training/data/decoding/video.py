"""What does a video file say about itself, read packet by packet and without decoding it?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class VideoError(Exception):
    """A video that cannot be used; its text says why, in one line.

    Attributes:
        kind: One word for it: `unreadable`, `missing`, `zero_length`, `truncated`, `changed`, `no_boxes`.
    """

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        super().__init__(message, kind)
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What the container says.

    Attributes:
        frames: Frames that are presented: packets that an edit list does not discard.
        promised: Packets that the container's header or index announces, or 0 where it announces none.
        packets: Packets that the file really holds.
        fps: Mean frames per second: (frames - 1) / (time of the last - time of the first frame), to a millionth.
        width, height: Pixels as shown, after rotation.
        rotation: Clockwise degrees that the container asks for: 0, 90, 180 or 270.
        codec, container: FFmpeg's names.
        reordered: Whether frames are stored in another order than they are shown (B-frames).
        edit_list: Whether part of the stream is hidden by an edit list.
        variable_rate: Whether the steps between frames differ by more than half a step.
        times: (frames,) seconds from the first presented frame, increasing.
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
        """Whether the file holds less than it announces."""
        return self.packets < self.promised


def read_info(path: Path | str) -> VideoInfo:
    """Read a container's header and packets.

    Raises:
        VideoError: No such file, no video in it, not one frame, or a container that cannot be parsed.
    """
    import av

    if not Path(path).is_file():
        raise VideoError("the file does not exist", "missing")
    if Path(path).stat().st_size == 0:
        raise VideoError("the file is empty (0 bytes)", "zero_length")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("the file holds no video stream")
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
        raise VideoError(f"it is no video, or was cut off before its end ({_short(error)})") from None
    except av.FFmpegError as error:
        raise VideoError(f"it cannot be read ({_short(error)})") from None
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
    """Packets with content, presentation times in seconds of those that are shown, and how many are discarded."""
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
    """Seconds from the first frame; where a container keeps no times, the frames lie evenly at its rate."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) and len(set(known)) == len(known):
        return np.sort(np.asarray(known, dtype=np.float64)) - min(known)
    return np.arange(len(stamps), dtype=np.float64) / (rate or 25.0)


def _count_decoded(path: Path | str) -> int:
    """Frames that come out of a decoder.

    DivX and XviD pack B-frames two to a packet and pad with empty ones, so that packets of an avi miscount them.
    """
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def _first_frame(path: Path | str) -> tuple[int, int, int]:
    """Rotation (clockwise), and width and height as shown, from the first frame that can be decoded."""
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            # FFmpeg counts counter-clockwise, from -180 to 180.
            rotation = round(-frame.rotation / 90) * 90 % 360
            shown = (frame.width, frame.height) if rotation % 180 == 0 else (frame.height, frame.width)
            return rotation, *shown
    raise VideoError("not one frame can be decoded")


def _short(error: Exception) -> str:
    text = str(error)
    return text.split("] ", 1)[-1].split(": '")[0].strip() or type(error).__name__
