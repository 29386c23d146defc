"""Checks that both decoders read a tiny video correctly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from agrm_study.execution.fitness.finding import Finding, note, ok, problem

FRAMES: Final = 8
SIDE: Final = 64
WIDEST_ERROR: Final = 12.0
"""Maximum mean difference between a decoded frame and the original frame, in grey levels."""


def check_video(folder: Path | None = None) -> Iterator[Finding]:
    """Write H.264 and MPEG-4 videos with the installed libraries, and read their frames with every decoder."""
    try:
        import av  # noqa: F401
        import cv2  # noqa: F401
    except (ImportError, OSError) as error:
        yield problem(
            "video", f"a library cannot be imported ({error})", "Run `pip install --upgrade av opencv-python-headless`."
        )
        return
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for name, codec in (("h264.mp4", "h264"), ("xvid.avi", "mpeg4")):
            yield from _check(Path(place) / name, codec)


def _check(path: Path, codec: str) -> Iterator[Finding]:
    import av
    import numpy as np

    from agrm_study.training.data.datasets.synthetic.encode import encode

    label = f"video {path.suffix[1:]}"
    drawn = [np.full((SIDE, SIDE, 3), 24 * index + 30, np.uint8) for index in range(FRAMES)]
    try:
        encode(path, drawn, fps=25, width=SIDE, height=SIDE, codec=codec, quality=0.0)
    except (av.FFmpegError, ValueError) as error:
        yield note(
            label,
            f"PyAV has no encoder for it ({error})",
            "Real videos may still decode; synthetic data cannot be generated.",
        )
        return
    from agrm_study.training.data.decoding import DECODERS, VideoError, probe

    try:
        info = probe(path)
    except VideoError as error:
        yield problem(label, f"cannot be read ({error})", "Run `pip install --upgrade av`.")
        return
    good = []
    for name, decoder in DECODERS.items():
        if not decoder.available():
            advice = "Install decord (x86) or decord2 (ARM): stores are built several times faster."
            yield note(label, f"{name} is not installed; the other decoder is used instead", advice)
            continue
        if not decoder.handles(info):
            continue
        failed = _failure(path, name, drawn)
        if failed:
            yield problem(label, f"{name} {failed}", f"Reinstall {'av' if name == 'pyav' else name}.")
        else:
            good.append(name)
    if good:
        yield ok(label, f"{' and '.join(good)} return{'s' if len(good) == 1 else ''} the correct frames")


def _failure(path: Path, decoder: str, drawn: Sequence[object]) -> str:
    """Problem with the frames from a decoder; empty if there is none. The decoder, which may crash, runs in a child
    process."""
    import numpy as np

    from agrm_study.training.data.decoding.killable import Failure, shared_pool

    found = shared_pool().run(read_some, path, decoder)
    if isinstance(found, Failure):
        return f"fails ({found.message})"
    errors = [float(np.abs(found[i].astype(float) - np.asarray(drawn[i], dtype=float)).mean()) for i in range(FRAMES)]
    worst = int(np.argmax(errors))
    return "" if errors[worst] <= WIDEST_ERROR else f"returns a wrong image for frame {worst}"


def read_some(path: Path, decoder: str) -> object:
    """All frames of the tiny video, as (T, H, W, 3)."""
    import numpy as np

    from agrm_study.training.data.decoding import read_frames, read_info

    info = read_info(path)
    return np.concatenate(list(read_frames(path, info, range(FRAMES), SIDE, SIDE, decoder=decoder)))
