"""Video files whose frames encode their own number, written with PyAV."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from agrm_study.training.data.clip_record import ClipRecord

BITS = 9


def numbered_frame(number: int, width: int = 128, height: int = 64) -> NDArray[np.uint8]:
    """A grey frame with `number` as nine black or white tiles: 3 × 3 over the whole frame."""
    frame = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, 3)
        rows = slice(row * height // 3, (row + 1) * height // 3)
        columns = slice(column * width // 3, (column + 1) * width // 3)
        frame[rows, columns] = 230 if number >> bit & 1 else 25
    return frame


def read_numbers(frames_THWC: NDArray[np.uint8]) -> list[int]:
    """The numbers that frames of `numbered_frame` carry, at any size."""
    numbers = []
    for frame in frames_THWC:
        height, width = frame.shape[:2]
        bits = [
            frame[(2 * (bit // 3) + 1) * height // 6, (2 * (bit % 3) + 1) * width // 6].mean() > 127
            for bit in range(BITS)
        ]
        numbers.append(sum(1 << bit for bit, on in enumerate(bits) if on))
    return numbers


def write_video(
    path: Path,
    frames: int = 30,
    *,
    codec: str = "libx264",
    fps: int = 25,
    size: tuple[int, int] = (128, 64),
    gop: int = 12,
    b_frames: int = 0,
    rotation: int = 0,
    pts: Sequence[int] | None = None,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    draw: Callable[[int], NDArray[np.uint8]] | None = None,
) -> Path:
    """Write a video; `pts` are presentation times in units of 1 / fps."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options={"bf": str(b_frames), **(options or {})})
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.time_base = Fraction(1, fps)
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            image = numbered_frame(number, *size) if draw is None else draw(number)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number if pts is None else pts[number]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remux(source: Path, target: Path, *, shift: int = 0, drop: Callable[[int], bool] | None = None) -> Path:
    """Copy packets, shifted by so many frames (negative: an edit list cuts them) or with some left out."""
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = read.streams.video[0]
        copy = write.add_stream_from_template(stream)
        step = int(1 / (stream.average_rate * stream.time_base))
        for position, packet in enumerate(p for p in read.demux(stream) if p.dts is not None):
            if drop is not None and drop(position):
                continue
            packet.pts += shift * step
            packet.dts += shift * step
            packet.stream = copy
            write.mux(packet)
    return target


def record(path: Path, clip_id: str | None = None, **fields: object) -> ClipRecord:
    """A manifest row for a file of `write_video` with its defaults."""
    values: dict[str, object] = {
        "subject_id": path.stem, "clip_id": clip_id or path.stem, "path": path, "label": None, "frames": 30,
        "fps": 25.0, "width": 128, "height": 64, "source": "test",
        "checksum": hashlib.sha256(path.read_bytes() if path.is_file() else path.name.encode()).hexdigest(),
    }  # fmt: skip
    return ClipRecord(**(values | fields))  # type: ignore[arg-type]


class Videos:
    """The functions above, for tests (which cannot import a neighbour)."""

    write = staticmethod(write_video)
    remux = staticmethod(remux)
    numbers = staticmethod(read_numbers)
    frame = staticmethod(numbered_frame)
    record = staticmethod(record)


@pytest.fixture(scope="session")
def videos() -> type[Videos]:
    return Videos
