"""Validating readers for single cells of a user's table."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from agrm_study.study.errors import InputError, did_you_mean


@dataclass(frozen=True, slots=True)
class Cell:
    """A raw value and its location; the methods return a validated value or raise an `InputError` with the location.

    Attributes:
        path: The table's file.
        line: Line number in a CSV file or row number in a Parquet file, counted from 1.
        field: Column name.
        value: The raw value.
    """

    path: Path
    line: int
    field: str
    value: Any

    @property
    def empty(self) -> bool:
        """Whether the value is null, NaN or blank."""
        value = self.value
        return value is None or (isinstance(value, float) and math.isnan(value)) or not str(value).strip()

    def fail(self, rule: str, *, allowed: str | None = None, hint: str | None = None) -> NoReturn:
        """Raise an `InputError` for this cell."""
        raise InputError(
            rule, where=self.path, line=self.line, field=self.field, given=self.value, allowed=allowed, hint=hint
        )

    def text(self) -> str:
        """Non-blank text."""
        if self.empty:
            self.fail("must not be empty")
        return _plain(self.value)

    def optional_text(self) -> str | None:
        """Text, or None for a blank cell."""
        return None if self.empty else _plain(self.value)

    def optional_choice(self, choices: Sequence[str]) -> str | None:
        """One of the choices, or None for a blank cell."""
        text = self.optional_text()
        if text is not None and text not in choices:
            self.fail("unknown value", allowed=", ".join(choices) + ", or empty", hint=did_you_mean(text, choices))
        return text

    def number(self, *, minimum: float | None = None, maximum: float | None = None) -> float:
        """A finite number within inclusive bounds; a decimal comma is accepted except before three digits."""
        return self._number(re.sub(r"^(-?\d+),(\d{1,2}|\d{4,})$", r"\1.\2", self.text()), minimum, maximum)

    def _number(self, text: str, minimum: float | None, maximum: float | None) -> float:
        try:
            number = float(text)
        except ValueError:
            self.fail("must be a number")
        low, high = -math.inf if minimum is None else minimum, math.inf if maximum is None else maximum
        if not math.isfinite(number) or not low <= number <= high:
            self.fail("number out of range", allowed=f"{low:g} to {high:g}")
        return number

    def optional_number(self, *, minimum: float | None = None, maximum: float | None = None) -> float | None:
        """A finite number within inclusive bounds, or None for a blank cell."""
        return None if self.empty else self.number(minimum=minimum, maximum=maximum)

    def integer(self, *, minimum: int | None = None, maximum: int | None = None) -> int:
        """An integer within inclusive bounds (`12.0` is accepted)."""
        number = self._number(self.text(), minimum, maximum)
        if number != int(number):
            self.fail("must be an integer")
        return int(number)

    def optional_integer(self, *, minimum: int | None = None, maximum: int | None = None) -> int | None:
        """An integer within inclusive bounds, or None for a blank cell."""
        return None if self.empty else self.integer(minimum=minimum, maximum=maximum)

    def hexadecimal(self, digits: int) -> str:
        """Lower-case hexadecimal text with exactly `digits` digits."""
        text = self.text().lower()
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", text):
            self.fail(f"must be {digits} hexadecimal digits")
        return text


Boxes = tuple[tuple[int, float, float, float, float], ...]
BOX_SHAPE = "[[frame, x, y, w, h], …] with increasing frame numbers and positive w and h"


def parse_boxes(cell: Cell, frames: int = 0) -> Boxes | None:
    """Key boxes from JSON text `[[frame, x, y, w, h], …]`; None for a blank cell.

    Args:
        cell: The cell.
        frames: Number of frames in the clip; 0 if unknown.

    Raises:
        InputError: If the text is not such a list, frame numbers are not increasing or are outside the clip, or a box
            is empty.
    """
    if cell.empty:
        return None
    try:
        rows = json.loads(cell.value)
        boxes = tuple((int(f), float(x), float(y), float(w), float(h)) for f, x, y, w, h in rows)
    except (ValueError, TypeError, OverflowError):
        cell.fail("must be a list of boxes", allowed=BOX_SHAPE)
    if problem := box_problem(boxes, frames):
        cell.fail(problem, allowed=BOX_SHAPE)
    return boxes


def box_problem(boxes: Boxes, frames: int = 0) -> str | None:
    """The rule that the key boxes violate, or None; `frames` is the number of frames in the clip (0 if unknown)."""
    keys = [box[0] for box in boxes]
    if not boxes or any(not math.isfinite(value) for box in boxes for value in box):
        return "must be a list of boxes"
    if any(b <= a for a, b in itertools.pairwise(keys)) or keys[0] < 0:
        return "frame numbers of boxes must be at least 0 and increasing"
    if frames and keys[-1] >= frames:
        return f"frame numbers of boxes must be at most {frames - 1}, the last frame of the video"
    if any(box[3] <= 0 or box[4] <= 0 for box in boxes):
        return "width and height of a box must be positive"
    return None


def _plain(value: Any) -> str:
    """Text of a value; integral floats lose their `.0`, which spreadsheets add to number columns."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
