"""Pixel masks of body regions (knees, lower legs, thighs, trunk) and background in a window.

Regions are bands of the person's box, defined as fractions of its height and width and transformed into the network's
crop. They follow the box, not the joints, so a bent knee may lie outside its band.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.recipe import Clip
from agrm_study.training.data.background import estimate_boxes
from agrm_study.training.data.boxes import boxes_at
from agrm_study.training.data.clip_record import Box, ClipRecord
from agrm_study.training.data.decoding import VideoError, probe
from agrm_study.training.data.seen import stored_region

BoxKind = Literal["person", "legs"]
REGIONS: Final = ("knee", "lower leg", "thigh", "trunk", "background")

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bands:
    """Regions within a box, as fractions of its height (rows) and width (columns).

    Attributes:
        rows: First and last row of each region.
        columns: First and last column of all regions.
        person: First and last row of the person, including the head, which belongs neither to a region nor to the
            background. Pixels outside these rows and `columns` are background.
    """

    rows: dict[str, tuple[float, float]]
    columns: tuple[float, float]
    person: tuple[float, float] = (0.0, 1.0)


BANDS: Final[dict[BoxKind, Bands]] = {
    # Heights of a standing person's joints above the ground, relative to stature: knee 0.285, hip 0.530, shoulder 0.818
    # (Drillis and Contini 1966, as in Winter 2009, figure 4.1); the knee's band extends 0.075 above and below.
    "person": Bands(
        rows={"trunk": (0.18, 0.47), "thigh": (0.47, 0.64), "knee": (0.64, 0.79), "lower leg": (0.79, 1.0)},
        columns=(0.0, 1.0),
    ),
    # Boxes of synthetic figures are squares from the waist to the soles, with the figure in their middle columns; of
    # the trunk, they contain only the waist and hips. Positions of the drawn joints, relative to the height: hips
    # 0.06–0.14, knees 0.40–0.51, ankles 0.60–0.87 (2nd to 98th percentile, including the simulated detection error).
    "legs": Bands(
        rows={"trunk": (0.0, 0.14), "thigh": (0.14, 0.37), "knee": (0.37, 0.56), "lower leg": (0.56, 1.0)},
        columns=(0.2, 0.8),
    ),
}
"""Bands by body part covered by the boxes: the whole person, or only the legs."""


def person_boxes(record: ClipRecord) -> tuple[Box, ...] | None:
    """Key boxes from the manifest, or estimated from the video; None if neither is possible."""
    if record.boxes:
        return record.boxes
    if not record.path.exists():
        return None
    try:
        return estimate_boxes(record, probe(record.path))
    except VideoError:
        return None


def stored_boxes(record: ClipRecord, boxes: tuple[Box, ...], clip: Clip, frames: int) -> Floats:
    """Transform key boxes to pixels of the stored frames.

    Frames are assumed to be evenly spaced; with a variable frame rate, the boxes may be off by one frame.

    Args:
        record: Size and frame rate of the video.
        boxes: Key boxes in pixels of the displayed frame (after rotation).
        clip: The preprocessing.
        frames: Number of stored frames.

    Returns:
        Boxes (T, 4) as x, y, w, h.
    """
    times = np.rint(np.arange(frames) / clip.fps * record.fps).astype(np.int64)
    shown_T = np.clip(times, 0, max(record.frames - 1, 0))
    return stored_region(record, clip, shown_T, boxes).to_stored(boxes_at(boxes, shown_T))


def region_masks(boxes_T4: Floats, size: int, kind: BoxKind) -> dict[str, Masks]:
    """Masks (T, size, size) of all regions; a region outside the crop has an empty mask.

    Args:
        boxes_T4: Boxes (x, y, w, h) of the window's frames, in pixels of the crop.
        size: Side of the crop, in pixels.
        kind: Body part covered by the boxes.
    """
    bands, centres = BANDS[kind], np.arange(size) + 0.5
    x_T1, y_T1, w_T1, h_T1 = (column[:, None] for column in boxes_T4.T)

    def within(start_T1: Floats, side_T1: Floats, span: tuple[float, float]) -> Masks:
        at = centres[None, :]
        return np.asarray((at >= start_T1 + span[0] * side_T1) & (at < start_T1 + span[1] * side_T1))

    columns_TW = within(x_T1, w_T1, bands.columns)

    def band(span: tuple[float, float]) -> Masks:
        return np.asarray(within(y_T1, h_T1, span)[:, :, None] & columns_TW[:, None, :])

    masks = {name: band(rows) for name, rows in bands.rows.items()}
    masks["background"] = ~band(bands.person)
    return {name: masks[name] for name in REGIONS}
