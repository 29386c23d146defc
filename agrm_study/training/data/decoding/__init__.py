"""Frame-exact decoding of video files and folders of numbered images.

`probe` and `decode` run in a child process that is killed if it hangs. `read_info` and `read_frames` do the same work
in the calling process and are intended for use in such child processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.data.decoding.decoder import Decoder
from agrm_study.training.data.decoding.decord_decoder import DecordDecoder
from agrm_study.training.data.decoding.error import VideoError
from agrm_study.training.data.decoding.images import ImagesDecoder, read_folder_info
from agrm_study.training.data.decoding.killable import Failure, beat, shared_pool
from agrm_study.training.data.decoding.pyav_decoder import PyavDecoder
from agrm_study.training.data.decoding.video import VideoInfo, read_file_info

DECODERS: dict[str, Decoder] = {
    "decord": DecordDecoder(),
    "pyav": PyavDecoder(),
}
"""Decoders for video files by name, in order of preference."""

__all__ = ["DECODERS", "Decoder", "VideoError", "VideoInfo", "decode", "probe", "read_frames", "read_info"]


def read_info(path: Path | str) -> VideoInfo:
    """Read the metadata of a video file or of a folder of numbered images, in this process.

    Raises:
        VideoError: If the path does not exist, has no video stream or no frames, contains only still images, or
            cannot be parsed.
    """
    return read_folder_info(Path(path)) if Path(path).is_dir() else read_file_info(path)


def probe(path: Path | str) -> VideoInfo:
    """Read a file's container metadata in a killable child process.

    Raises:
        VideoError: If the file cannot be read, or the child process hung or crashed.
    """
    info: VideoInfo = _answer(shared_pool().run(read_info, Path(path)))
    return info


def decode(
    path: Path | str, indices: Sequence[int] | None = None, width: int | None = None, height: int | None = None
) -> NDArray[np.uint8]:
    """Decode frames of a file in a killable child process.

    Args:
        path: The video file.
        indices: 0-based indices of presented frames, in any order; None for all frames.
        width, height: Output size after rotation, in pixels; None keeps the file's size.

    Returns:
        RGB frames (T, height, width, 3).

    Raises:
        VideoError: If the file cannot be decoded, or the child process hung or crashed.
    """
    frames: NDArray[np.uint8] = _answer(shared_pool().run(_decode_all, Path(path), indices, width, height))
    return frames


def read_frames(
    path: Path, info: VideoInfo, indices: Sequence[int], width: int, height: int, *, decoder: str | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Yield chunks (n, height, width, 3) of the requested RGB frames, decoded in this process.

    The first decoder that is exact for this kind of file is used. If it fails before its first frame, the next decoder
    is tried; the error of the last decoder is raised.

    Args:
        path: The video file.
        info: Result of `read_info` for this file.
        indices: 0-based indices of presented frames, non-decreasing.
        width, height: Output size after rotation, in pixels.
        decoder: Name of the only decoder to try (a key of `DECODERS`); None selects decoders based on the file.

    Raises:
        VideoError: If no decoder can read the file up to the last index.
    """
    known = (*DECODERS.values(), ImagesDecoder())
    fit = [each for each in known if each.available() and each.handles(info)]
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
        raise VideoError(f"frames {wanted.min()} to {wanted.max()} were requested; the video has {info.frames}")
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
