"""Rows of the GPU benchmark: what was measured, what was not run and why, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

NEEDS_GPU = "needs a GPU"
NO_TIME = "no time left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        part: ``tests``, ``step``, ``networks``, ``compile``, ``input`` or ``seeds``.
        setting: What is measured there.
        state: ``not run`` and ``failed`` rows have no figures.
        figures: Value by name; the name ends in its unit (``step_ms``, ``clips_per_s``).
        note: Why nothing was measured, or what the figures leave out.
    """

    part: str
    setting: str
    state: Literal["measured", "not run", "failed"]
    figures: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        if self.state == "measured" and not self.figures:
            raise ValueError(f"{self.part}, {self.setting}: a measured row needs figures")
        if self.state != "measured" and (self.figures or not self.note):
            raise ValueError(f"{self.part}, {self.setting}: a row that is {self.state} has a reason and no figures")


class Deadline:
    """The end of the time that the script may take.

    Args:
        seconds: From now.
        clock: Seconds of a clock that only goes forward.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + seconds

    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._end - self._clock())


def measured(part: str, setting: str, deadline: Deadline, needs_s: float, measure: Callable[[], Row]) -> Row:
    """A row, where there is time for it; an error becomes a row that failed.

    Args:
        part: Of the row.
        setting: Of the row.
        deadline: When the script must end.
        needs_s: Seconds that must be left.
        measure: Makes the row.
    """
    if deadline.left() < needs_s:
        return Row(part=part, setting=setting, state="not run", note=f"{NO_TIME} ({needs_s:g} s are needed)")
    try:
        return measure()
    except Exception as error:  # the other rows are worth having
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Row(part=part, setting=setting, state="failed", note=f"{type(error).__name__}: {text}")
