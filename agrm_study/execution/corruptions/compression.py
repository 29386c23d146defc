"""Compression artefacts: the clip is encoded as H.264 and decoded again."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

CRF: Final = (28, 33, 38, 43, 48)
"""Constant rate factor of x264 by severity; its default is 23, and 51 is the lowest quality."""


def compression(frames_TCHW: Frames, severity: int, fps: float, rng: np.random.Generator) -> Frames:
    """The clip after H.264 compression (libx264, 4:2:0, one thread) with the rate factor `CRF`, decoded again.

    For the encoder, frames with an odd height or width are padded by repeating their last row or column.

    Raises:
        RuntimeError: If the decoder returns a different number of frames.
    """
    length, _, height, width = frames_TCHW.shape
    padded = np.pad(frames_TCHW, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = padded.shape[3], padded.shape[2], "yuv420p"
        stream.options = {"preset": "medium", "crf": str(CRF[severity - 1])}
        stream.codec_context.thread_count = 1
        for frame_CHW in padded:
            image_HWC = np.ascontiguousarray(frame_CHW.transpose(1, 2, 0))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_HWC, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if len(decoded) != length:
        raise RuntimeError(f"{len(decoded)} of {length} frames were decoded after compression")
    return np.stack(decoded)[:, :height, :width].transpose(0, 3, 1, 2)
