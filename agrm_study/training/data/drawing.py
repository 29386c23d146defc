"""Sheets of images with marks, captions and a legend, rendered with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Mark = tuple[NDArray[np.float64], Colour]
"""A rectangle x, y, w, h in pixels of its image, and its colour."""

GREEN, ORANGE, BLUE, PINK = (80, 220, 80), (40, 150, 250), (255, 190, 60), (200, 90, 255)
WHITE, RED, DARK = (255, 255, 255), (90, 90, 255), (30, 30, 30)
"""Colours in OpenCV's order: blue, green, red."""
HEIGHT = 180
"""Height of one image in a sheet, in pixels."""
CAPTION = 150
"""Width of the caption column, in pixels."""
LINE = 22
"""Height of a line of text, in pixels."""
NARROWEST = 820
"""Minimum width of a sheet in pixels, so that the legend fits."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a sheet.

    Attributes:
        caption: Text to the left of the images.
        frames_THWC: RGB images, one per column.
        marks: Rectangles on each image; empty if there are none.
    """

    caption: str
    frames_THWC: NDArray[np.uint8]
    marks: Sequence[Sequence[Mark]] = ()


def draw(title: str, legend: Sequence[tuple[Colour, str]], warning: str, rows: Sequence[Row]) -> NDArray[np.uint8]:
    """A sheet (H, W, 3) in OpenCV's channel order: title, legend, warning (if not empty), and rows of images."""
    pictures = [
        [_scaled(_marked(frame, row.marks[place] if row.marks else ())) for place, frame in enumerate(row.frames_THWC)]
        for row in rows
    ]
    width = max(picture.shape[1] for row in pictures for picture in row)
    bands = [
        np.hstack([_caption(row.caption), *(_padded(picture, width) for picture in of_row)])
        for row, of_row in zip(rows, pictures, strict=True)
    ]
    total = max(NARROWEST, bands[0].shape[1])
    lines = [_text(title, WHITE, total)]
    lines += [_text(meaning, WHITE, total, swatch=colour) for colour, meaning in legend]
    lines += [_text(warning, RED, total)] if warning else []
    wide = [np.hstack([band, np.full((len(band), total - band.shape[1], 3), DARK, np.uint8)]) for band in bands]
    return np.vstack([*lines, *wide])


def _marked(frame_HWC: NDArray[np.uint8], marks: Sequence[Mark]) -> NDArray[np.uint8]:
    image = np.ascontiguousarray(frame_HWC[:, :, ::-1])
    thick = max(1, round(image.shape[0] / HEIGHT * 1.5))
    for (x, y, w, h), colour in marks:
        # A rectangle along the image's edge is drawn inside it.
        left, top = max(round(x), thick // 2), max(round(y), thick // 2)
        right, bottom = (
            min(round(low + side), limit - 1 - thick // 2)
            for low, side, limit in ((x, w, image.shape[1]), (y, h, image.shape[0]))
        )
        cv2.rectangle(image, (left, top), (right, bottom), colour, thick)
    return image


def _scaled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
    return np.asarray(cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _padded(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    free = width - image.shape[1]
    return np.asarray(
        cv2.copyMakeBorder(image, 2, 2, free // 2 + 2, free - free // 2 + 2, cv2.BORDER_CONSTANT, value=DARK)
    )


def _caption(text: str) -> NDArray[np.uint8]:
    picture = np.full((HEIGHT + 4, CAPTION, 3), DARK, np.uint8)
    for number, line in enumerate(text.split(", ")):
        cv2.putText(
            picture, line, (8, HEIGHT // 2 + number * LINE), cv2.FONT_HERSHEY_SIMPLEX, 0.5, WHITE, 1, cv2.LINE_AA
        )
    return picture


def _text(text: str, colour: Colour, width: int, swatch: Colour | None = None) -> NDArray[np.uint8]:
    line = np.full((LINE, width, 3), DARK, np.uint8)
    left = 8
    if swatch is not None:
        cv2.rectangle(line, (8, 6), (24, 16), swatch, 2)
        left = 34
    cv2.putText(line, text, (left, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return line
