"""Which pixels of a window show the knees, the lower legs, the thighs, the trunk, and which the background?

Regions are bands of the person's box, as fractions of its height and width, carried into the crop that the network
sees. They follow the box, not the joints: a bent knee can leave its band.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.recipe import Clip
from agrm_study.training.data.background import estimate_boxes
from agrm_study.training.data.boxes import boxes_at, square_windows
from agrm_study.training.data.decoding import VideoError, probe
from agrm_study.training.data.manifest import Box, ClipRecord

BoxKind = Literal["person", "legs"]
REGIONS: Final = ("knee", "lower leg", "thigh", "trunk", "background")

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bands:
    """Where the regions lie in a box, as fractions of its height (rows) and width (columns).

    Attributes:
        rows: First and last row of each region.
        columns: First and last column of all of them; what is outside of every region's rows and these columns, but
            for the head, is background.
        person: First and last row of the person: the head is neither a region nor background.
    """

    rows: dict[str, tuple[float, float]]
    columns: tuple[float, float]
    person: tuple[float, float] = (0.0, 1.0)


BANDS: Final[dict[BoxKind, Bands]] = {
    # Segment heights of the standing body over stature, from the ground: knee 0.285, hip 0.530, shoulder 0.818
    # (Drillis and Contini 1966, as in Winter 2009, figure 4.1); the knee's band reaches 0.075 to either side.
    "person": Bands(
        rows={"trunk": (0.18, 0.47), "thigh": (0.47, 0.64), "knee": (0.64, 0.79), "lower leg": (0.79, 1.0)},
        columns=(0.0, 1.0),
    ),
    # The synthetic figures' boxes are squares from the waist to the soles; the figure fills their middle columns. The
    # waist and the hips are all of the trunk that they hold. Measured on the drawn joints: hips at 0.06–0.14 of the
    # height, knees at 0.40–0.51, ankles at 0.60–0.87 (2nd to 98th percentile; the boxes miss on purpose).
    "legs": Bands(
        rows={"trunk": (0.0, 0.14), "thigh": (0.14, 0.37), "knee": (0.37, 0.56), "lower leg": (0.56, 1.0)},
        columns=(0.2, 0.8),
    ),
}
"""Bands by what the boxes hold: the whole person, or the legs alone."""


def person_boxes(record: ClipRecord) -> tuple[Box, ...] | None:
    """The manifest's key boxes; without any, those found in the video; None when that cannot be done."""
    if record.boxes:
        return record.boxes
    if not record.path.is_file():
        return None
    try:
        return estimate_boxes(record, probe(record.path))
    except VideoError:
        return None


def stored_boxes(record: ClipRecord, boxes: tuple[Box, ...], clip: Clip, shape: tuple[int, int, int]) -> Floats:
    """Boxes (T, 4) as x, y, w, h in pixels of each stored frame, whatever part of the frame the store keeps.

    A frame's time is taken as even, so in a file of varying frame rate the boxes may be off by a frame.

    Args:
        record: Size and rate of the video.
        boxes: Key boxes in pixels of the shown frame.
        clip: What the store keeps.
        shape: Stored frames, height and width.
    """
    frames, height, width = shape
    times = np.rint(np.arange(frames) / clip.fps * record.fps).astype(np.int64)
    shown_T = np.clip(times, 0, max(record.frames - 1, 0))
    boxes_T4 = boxes_at(boxes, shown_T)
    if clip.crop == "resize":
        return np.asarray(boxes_T4 * np.array([width / record.width, height / record.height] * 2))
    if clip.crop == "raw":
        corner = np.array([(record.width - width) // 2, (record.height - height) // 2, 0, 0])
        return np.asarray(boxes_T4 - corner)
    x_T, y_T, side_T = square_windows(boxes, shown_T, clip.fps, clip.box_part).T
    boxes_T4[:, 0] -= x_T - side_T / 2
    boxes_T4[:, 1] -= y_T - side_T / 2
    return np.asarray(boxes_T4 * (clip.resize / side_T)[:, None])


def region_masks(boxes_T4: Floats, size: int, kind: BoxKind) -> dict[str, Masks]:
    """Masks (T, size, size) of every region; one that lies outside the crop is empty.

    Args:
        boxes_T4: x, y, w, h of the window's frames in pixels of the crop.
        size: Side of the crop.
        kind: What the boxes hold.
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
