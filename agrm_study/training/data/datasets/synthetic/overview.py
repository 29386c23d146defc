"""Overview figure of the synthetic classes at every difficulty and of the unlabelled part.

Usage: python -m agrm_study.training.data.datasets.synthetic.overview docs/figures/synthetic.png
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from agrm_study.study.labels import LABELS
from agrm_study.training.data.datasets.synthetic.cast import Role, labelled_roles, unlabelled_roles
from agrm_study.training.data.datasets.synthetic.classes import ANGLES_DEG, DIFFICULTIES, SIGN
from agrm_study.training.data.datasets.synthetic.clip import render
from agrm_study.training.data.datasets.synthetic.contact_sheet import TITLES, WHOLE, crop_box, portrait
from agrm_study.training.data.datasets.synthetic.corridor import Image
from agrm_study.training.data.datasets.synthetic.write import planned_clip

MOMENTS = (0.06, 0.3, 0.7, 0.94)
"""Positions of the shown frames as fractions of the clip length."""
SIDE, GAP, DPI = 88, 3, 100
"""Height of an image and gap between images, in pixels; resolution of the figure, in pixels per inch."""
COLOURS = 192
"""Number of palette colours of the output file, which is quantized because sensor noise compresses poorly."""


def overview(out_png: Path | str, *, seed: int = 0) -> Path:
    """Draw one row per class and difficulty and one unlabelled row: whole frames and person-box crops.

    Args:
        out_png: Output file.
        seed: Seed of the subjects, as in `write_synthetic`.

    Returns:
        The path of the image.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image as Picture

    shown = shown_roles(seed)
    strips = [strip(role) for _, role in shown]
    height, width = (SIDE + GAP) * len(strips), strips[0].shape[1]
    left, top = 92, 22
    size = (width + left) / DPI, (height + top) / DPI
    figure = Figure(figsize=size, dpi=DPI)
    FigureCanvasAgg(figure)
    figure.figimage(np.vstack(strips), xo=left, yo=0)
    for number, (title, _) in enumerate(shown):
        middle = 1.0 - (top + (number + 0.5) * (SIDE + GAP)) / (height + top)
        figure.text((left - 8) / (width + left), middle, title, ha="right", va="center", fontsize=7.5)
    whole = len(MOMENTS) * (round(SIDE / WHOLE) + GAP)
    for text, centre in (("the video", whole / 2), ("cropped to the person's box", (whole + width) / 2)):
        figure.text((left + centre) / (width + left), 1.0 - 0.5 * top / (height + top), text, ha="center", va="center",
                    fontsize=8)  # fmt: skip
    out_png = Path(out_png)
    out_png.parent.mkdir(parents=True, exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, format="png")
    Picture.open(drawn).convert("RGB").quantize(COLOURS, dither=Picture.Dither.NONE).save(out_png, optimize=True)
    return out_png


def shown_roles(seed: int) -> list[tuple[str, Role]]:
    """The first child of each class at each difficulty and the first frontal adult clip, with their titles."""
    rows = []
    for difficulty in DIFFICULTIES:
        children = labelled_roles(9, seed, difficulty)
        for label in LABELS:
            bend = f"{SIGN[label] * ANGLES_DEG[difficulty][0]:+.0f}°".replace("-", "−") if SIGN[label] else "0°"
            title = f"{TITLES[label]}\n{difficulty}, {bend}"
            rows.append((title, next(role for role in children if role.label == label)))
    adults = unlabelled_roles(30, seed, "medium")
    rows.append(("unlabelled\nadult", next(role for role in adults if role.plan.view == 0)))
    return rows


def strip(role: Role) -> Image:
    """Whole frames and crops of one clip, side by side on a white background."""
    clip = planned_clip(role)
    moments = [round(share * (clip.frames - 1)) for share in MOMENTS]
    frames = dict(enumerate(render(role.plan)))
    whole = [
        cv2.resize(portrait(frames[at], clip, at), (round(SIDE / WHOLE), SIDE), interpolation=cv2.INTER_AREA)
        for at in moments
    ]
    crops = [crop_box(frames[at], clip, at, SIDE) for at in moments]
    edges = [cv2.copyMakeBorder(each, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3) for each in whole + crops]
    return np.asarray(np.hstack(edges), dtype=np.uint8)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the synthetic classes at every difficulty.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(overview(options.out, seed=options.seed))
