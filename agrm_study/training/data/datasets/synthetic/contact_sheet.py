"""Contact sheet of a synthetic data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from agrm_study.study.labels import LABELS
from agrm_study.training.data.clip_record import ClipRecord
from agrm_study.training.data.datasets.synthetic.corridor import Image
from agrm_study.training.data.decoding import decode
from agrm_study.training.data.manifest import Manifest, read_manifest

TITLES = {"normal": "normal", "genu_varum": "genu varum", "genu_valgum": "genu valgum"}
WHOLE = 4.0 / 3.0
"""Aspect ratio (height / width) of whole-figure images."""


def contact_sheet(manifest: Path | str, out_png: Path | str, *, columns: int = 7, legs: bool = True) -> Path:
    """Draw frames of one clip per class and of one unlabelled clip, with the crops that a network receives.

    Args:
        manifest: Manifest of a data set from `write_synthetic`.
        out_png: Output file.
        columns: Number of evenly spaced frames per clip.
        legs: Whether to show the person-box crops below each row.

    Returns:
        The path of the image.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bands = []
    for title, clip in chosen_clips(read_manifest(manifest)):
        moments = np.linspace(0, clip.frames - 1, columns).round().astype(int).tolist()
        frames = decode(clip.path, moments)
        pictures = [portrait(frame, clip, at) for frame, at in zip(frames, moments, strict=True)]
        bands.append((title, [f"{at / clip.fps:.1f} s" for at in moments], pictures, WHOLE))
        if legs:
            crops = [crop_box(frame, clip, at) for frame, at in zip(frames, moments, strict=True)]
            bands.append(("", [""] * columns, crops, 1.0))
    heights = [shape for *_, shape in bands]
    figure = Figure(figsize=(1.1 * columns, 0.99 * sum(heights) + 0.1 * len(bands)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(bands), columns, squeeze=False, height_ratios=heights)
    for line, (title, times, pictures, _) in zip(axes, bands, strict=True):
        for axis, time, picture in zip(line, times, pictures, strict=True):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.set_title(time, fontsize=7, pad=2)
        line[0].set_ylabel(title, fontsize=8)
    out_png = Path(out_png)
    figure.savefig(out_png)
    return out_png


def chosen_clips(manifest: Manifest) -> list[tuple[str, ClipRecord]]:
    """The first clip of each label and the first frontal unlabelled clip, with their titles."""
    rows = []
    for label in LABELS:
        rows += [(TITLES[label], clip) for clip in manifest.labelled if clip.label == label][:1]
    rows += [(f"unlabelled\n{clip.clip_id}", clip) for clip in manifest.unlabelled if clip.view == 0][:1]
    return rows


def portrait(frame: Image, clip: ClipRecord, at: int) -> Image:
    """The part of a frame around the walker, with the aspect ratio of the labelled clips."""
    wide = min(clip.width, round(clip.height / WHOLE))
    _, x, _, w, _ = min(clip.boxes or (), key=lambda box: abs(box[0] - at))
    left = int(np.clip(x + w / 2.0 - wide / 2.0, 0, clip.width - wide))
    return frame[:, left : left + wide]


def crop_box(frame: Image, clip: ClipRecord, at: int, side: int = 96) -> Image:
    """The crop of the person's box from frame number `at`, resized to (side, side, 3)."""
    keys = np.array(clip.boxes)
    x, y, w, h = (float(np.interp(at, keys[:, 0], keys[:, column])) for column in range(1, 5))
    patch = frame[round(y) : round(y + h), round(x) : round(x + w)]
    return np.asarray(cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
