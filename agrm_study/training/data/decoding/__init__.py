"""How are exact frames read from a video file, whatever the file does?

`probe` and `decode` run in a child process that is killed when it hangs; `read_info` and `read_frames` do the same work
in the calling process and belong into such children.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.decoder import Decoder
from agrm_study.training.data.decoding.decord_decoder import DecordDecoder
from agrm_study.training.data.decoding.killable import Failure, beat, shared_pool
from agrm_study.training.data.decoding.pyav_decoder import PyavDecoder
from agrm_study.training.data.decoding.video import VideoError, VideoInfo, read_info

DECODERS: dict[str, Decoder] = {
    "decord": DecordDecoder(),
    "pyav": PyavDecoder(),
}
"""Decoders by name, in the order in which they are tried."""

__all__ = ["DECODERS", "Decoder", "VideoError", "VideoInfo", "decode", "probe", "read_frames", "read_info"]


def probe(path: Path | str) -> VideoInfo:
    """What a file's container says, read in a killable child.

    Raises:
        VideoError: A file that cannot be read, or that hung or crashed its reader.
    """
    info: VideoInfo = _answer(shared_pool().run(read_info, Path(path)))
    return info


def decode(
    path: Path | str, indices: Sequence[int] | None = None, width: int | None = None, height: int | None = None
) -> NDArray[np.uint8]:
    """Frames of a file, read in a killable child.

    Args:
        path: The file.
        indices: Presented frames, from 0, in any order; None for all.
        width, height: Size in pixels after rotation; None keeps the file's.

    Returns:
        (T, height, width, 3) RGB.

    Raises:
        VideoError: A file that cannot be decoded, or that hung or crashed its decoder.
    """
    frames: NDArray[np.uint8] = _answer(shared_pool().run(_decode_all, Path(path), indices, width, height))
    return frames


def read_frames(
    path: Path, info: VideoInfo, indices: Sequence[int], width: int, height: int, *, decoder: str | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Chunks (n, height, width, 3) of the frames asked for, in this process.

    The first decoder that is exact on such a file reads it; when that one fails before it has given a frame, the next
    one tries, and the error of the last is raised.

    Args:
        path: The file.
        info: What `read_info` said of it.
        indices: Presented frames, from 0, not decreasing.
        width, height: Size in pixels after rotation.
        decoder: A name of `DECODERS` to use and no other.

    Raises:
        VideoError: No decoder can read the file up to the last index.
    """
    fit = [each for each in DECODERS.values() if each.available() and each.handles(info)]
    candidates = fit if decoder is None else [DECODERS[decoder]]
    for position, candidate in enumerate(candidates):
        given = False
        try:
            for chunk in candidate.read(path, info, indices, width, height):
                beat()
                given = True
                yield chunk
            return
        except VideoError:
            if given or position == len(candidates) - 1:
                raise


def _decode_all(path: Path, indices: Sequence[int] | None, width: int | None, height: int | None) -> NDArray[np.uint8]:
    info = read_info(path)
    wanted = np.arange(info.frames) if indices is None else np.asarray(indices, dtype=np.int64)
    if len(wanted) and (wanted.min() < 0 or wanted.max() >= info.frames):
        raise VideoError(f"frames {wanted.min()} to {wanted.max()} were asked for, it has {info.frames}")
    width, height = width or info.width, height or info.height
    order = np.argsort(wanted, kind="stable")
    frames = np.empty((len(wanted), height, width, 3), np.uint8)
    done = 0
    for chunk in read_frames(path, info, wanted[order].tolist(), width, height):
        frames[order[done : done + len(chunk)]] = chunk
        done += len(chunk)
    return frames


def _answer(result: Any) -> Any:
    if isinstance(result, Failure):
        if isinstance(result.error, VideoError):
            raise result.error
        raise VideoError(result.message)
    return result
