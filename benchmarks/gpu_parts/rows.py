"""Rows of the GPU benchmark, measured or not run with the reason, and the remaining time."""

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
        setting: The measured setting.
        state: ``not run`` and ``failed`` rows have no figures.
        figures: Value by name; the name ends in its unit (``step_ms``, ``clips_per_s``).
        note: Reason why nothing was measured, or limits of the figures.
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
    """Deadline of the script.

    Args:
        seconds: Time from now, in seconds.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + seconds

    def left(self) -> float:
        """Remaining seconds, at least 0."""
        return max(0.0, self._end - self._clock())


def measured(part: str, setting: str, deadline: Deadline, needs_s: float, measure: Callable[[], Row]) -> Row:
    """Measure a row if enough time remains; an error becomes a failed row.

    Args:
        part: Part of the row.
        setting: Setting of the row.
        deadline: Deadline of the script.
        needs_s: Minimum remaining time, in seconds.
        measure: Measures the row.
    """
    if deadline.left() < needs_s:
        return Row(part=part, setting=setting, state="not run", note=f"{NO_TIME} ({needs_s:g} s are needed)")
    try:
        return measure()
    except Exception as error:  # the other rows are still measured
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Row(part=part, setting=setting, state="failed", note=f"{type(error).__name__}: {text}")
