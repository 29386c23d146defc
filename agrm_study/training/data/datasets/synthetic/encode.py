"""Deterministic encoding of frames into a video file."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from agrm_study.training.data.datasets.synthetic.corridor import Image


def encode(
    path: Path, frames: Iterable[Image], *, fps: float, width: int, height: int, codec: str, quality: float
) -> None:
    """Write an .mp4 (H.264) or .avi (MPEG-4 part 2 with the XVID tag) file.

    Args:
        path: Output file.
        frames: RGB uint8 frames (height, width, 3).
        fps: Constant frame rate, in frames per second.
        width: Width in pixels, even.
        height: Height in pixels, even.
        codec: ``h264`` or ``mpeg4``.
        quality: Compression, from 0 (light) to 1 (heavy).
    """
    h264 = codec == "h264"
    options = (
        {"preset": "superfast", "crf": f"{18 + 10 * quality:.1f}"}
        if h264
        else {"qmin": "2", "qmax": "31", "global_quality": str(round(118 * (3 + 5 * quality))), "flags": "+qscale"}
    )
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264" if h264 else "mpeg4", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = options
        context = stream.codec_context
        context.thread_count = 1
        context.gop_size = 12
        context.max_b_frames = 0  # an mp4 with B-frames would start with an edit list
        if not h264:
            context.codec_tag = "XVID"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
