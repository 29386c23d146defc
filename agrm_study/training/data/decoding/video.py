"""Container metadata of a video file, read from its packets without decoding all frames."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.error import VideoError
from agrm_study.training.data.decoding.file_size import cut_off
from agrm_study.training.data.decoding.stream import STILL, video_stream

LACKING_S = 0.5
"""Minimum tolerance, in seconds, for a stream that ends before the duration specified by its container."""
LACKING_SHARE = 0.02
"""Tolerance as a fraction of the specified duration; the larger of the two tolerances applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """Container metadata of a video file.

    Attributes:
        frames: Number of presented frames, that is, packets that an edit list does not discard.
        promised: Number of packets according to the container's header or index; 0 if not specified.
        packets: Number of packets in the file.
        fps: Mean frames per second: (frames - 1) / (time of the last - time of the first frame), rounded to 1e-6.
        promised_s: Duration in seconds according to the container if it does not specify a packet count; otherwise 0.
        cut_off: Description of the missing data relative to the size specified by the container; empty if complete.
        present_s: End time of the last packet of any stream, in seconds; compared with `promised_s`.
        stream: Index, in the container, of the stream that is read.
        streams: Number of video streams in the container.
        width, height: Displayed size (square pixels, after rotation).
        pixel_aspect: Width of a stored pixel divided by its height, before rotation.
        interlaced: Whether the first frame consists of two fields.
        rotation: Clockwise rotation specified by the container, in degrees: 0, 90, 180 or 270.
        codec, container: Names used by FFmpeg.
        reordered: Whether the storage order differs from the display order (B-frames).
        edit_list: Whether an edit list hides part of the stream.
        variable_rate: Whether the intervals between frames vary by more than half of the median interval.
        absent: Number of missing images in a folder of numbered images.
        times: Increasing times (frames,) in seconds from the first presented frame.
    """

    frames: int
    promised: int
    packets: int
    promised_s: float
    present_s: float
    cut_off: str
    stream: int
    streams: int
    fps: float
    width: int
    height: int
    rotation: int
    pixel_aspect: float
    interlaced: bool
    codec: str
    container: str
    reordered: bool
    edit_list: bool
    variable_rate: bool
    absent: int = 0
    times: NDArray[np.float64]

    @property
    def shortfall(self) -> str:
        """Description of data specified by the container but missing from the file; empty for a complete file."""
        if self.packets < self.promised:
            return f"only {self.packets} of {self.promised} frames are present"
        if self.promised_s - self.present_s > max(LACKING_S, LACKING_SHARE * self.promised_s):
            return f"only {self.present_s:.1f} of {self.promised_s:.1f} seconds are present"
        return self.cut_off


def read_file_info(path: Path | str) -> VideoInfo:
    """Read a container's header and packets.

    Raises:
        VideoError: If the file does not exist, has no video stream or no frames, contains only still images, or its
            container cannot be parsed.
    """
    import av

    if not Path(path).is_file():
        raise VideoError("the file does not exist", "missing")
    if Path(path).stat().st_size == 0:
        raise VideoError("the file is empty (0 bytes)", "zero_length")
    try:
        with av.open(str(path)) as container:
            stream = video_stream(container, path)
            index, streams = stream.index, len(container.streams.video)
            name, codec = container.format.name, stream.codec_context.name
            promised = len(stream.index_entries) if "mp4" in name else int(stream.frames)
            promised_s = 0.0 if promised else _stated_duration(container, stream)
            rate = float(stream.average_rate or stream.guessed_rate or 0.0)
            aspect = float(stream.sample_aspect_ratio or 1)
            packets, stamps, discarded, present_s = _packets(container, stream)
            reordered = bool(stream.codec_context.has_b_frames) or _out_of_order(stamps)
        if packets == 0:
            raise VideoError("the video has no frames", "zero_length")
        if codec == "mpeg4" and name == "avi" and reordered:
            stamps = [None] * _count_decoded(path, index)
        if len(stamps) == 1 and promised <= 1:
            raise VideoError(STILL)
        rotation, width, height, interlaced = _first_frame(path, index, aspect)
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
        promised_s=promised_s,
        present_s=present_s,
        cut_off=cut_off(path, name),
        stream=index,
        streams=streams,
        fps=round((len(times) - 1) / span, 6) if span > 0 else rate,
        width=width,
        height=height,
        rotation=rotation,
        pixel_aspect=aspect,
        interlaced=interlaced,
        codec=codec,
        container=name,
        reordered=reordered,
        edit_list=discarded > 0,
        variable_rate=bool(len(steps) > 1 and np.ptp(steps) > 0.5 * float(np.median(steps)) + 0.002),
        times=times,
    )


def _stated_duration(container: Any, stream: Any) -> float:
    """Duration of the stream according to its container, in seconds; 0 if FFmpeg estimates it from the packets."""
    tag = stream.metadata.get("DURATION", "")
    with suppress(ValueError):
        hours, minutes, seconds = (float(part) for part in tag.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1e6


def _packets(container: Any, stream: Any) -> tuple[int, list[float | None], int, float]:
    """Number of non-empty packets, presentation times of the presented packets in seconds, and number of discarded
    packets.

    The fourth value is the end time of the last packet of any stream, in seconds; audio may be longer than video.
    """
    packets, discarded, end = 0, 0, 0.0
    stamps: list[float | None] = []
    base = float(stream.time_base)
    for packet in container.demux():
        stamp = packet.pts if packet.pts is not None else packet.dts
        if packet.size == 0:
            continue
        if stamp is not None and packet.time_base:
            end = max(end, float((stamp + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index != stream.index:
            continue
        packets += 1
        if packet.is_discard:
            discarded += 1
        else:
            stamps.append(None if packet.pts is None else packet.pts * base)
    return packets, stamps, discarded, end


def _out_of_order(stamps: list[float | None]) -> bool:
    known = [stamp for stamp in stamps if stamp is not None]
    return any(later < earlier for earlier, later in itertools.pairwise(known))


def _times(stamps: list[float | None], rate: float) -> NDArray[np.float64]:
    """Seconds from the first frame; evenly spaced at the container's frame rate if timestamps are not usable."""
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) == len(stamps) and len(set(known)) == len(known):
        return np.sort(np.asarray(known, dtype=np.float64)) - min(known)
    return np.arange(len(stamps), dtype=np.float64) / (rate or 25.0)


def _count_decoded(path: Path | str, index: int) -> int:
    """Number of frames that the decoder outputs.

    DivX and XviD store two B-frames per packet and pad with empty packets, so the packet count of these files is wrong.
    """
    import av

    with av.open(str(path)) as container:
        stream = container.streams[index]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def _first_frame(path: Path | str, index: int, aspect: float) -> tuple[int, int, int, bool]:
    """Clockwise rotation in degrees, displayed width and height, and interlacing of the first decodable frame.

    Frames with non-square pixels are enlarged along one axis, so that no stored pixel is lost.
    """
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(container.streams[index]):
            # FFmpeg's rotation is counter-clockwise, from -180 to 180.
            rotation = round(-frame.rotation / 90) * 90 % 360
            width, height = round(frame.width * max(1.0, aspect)), round(frame.height / min(1.0, aspect))
            shown = (width, height) if rotation % 180 == 0 else (height, width)
            return rotation, *shown, frame.interlaced_frame
    raise VideoError("no frame can be decoded")


def _short(error: Exception) -> str:
    text = str(error)
    return text.split("] ", 1)[-1].split(": '")[0].strip() or type(error).__name__
