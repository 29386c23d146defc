"""The number of the driver whose workers may write, in ``.run/fence``.

Each driver increments it, so that a surviving worker of an earlier driver writes nothing more.
"""

from __future__ import annotations

from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_count
from agrm_study.records.patience import retry_storage

FILE: Final = ".run/fence"


class FencedError(Exception):
    """A later driver has taken over: this worker must write nothing more."""


def raise_fence(results: Location) -> int:
    """Increments the number in a results folder and returns it."""
    number = current_fence(results) + 1
    retry_storage(lambda: (results / FILE).write_atomic(str(number).encode()))
    return number


def current_fence(results: Location) -> int:
    """The number in a results folder; 0 if there is none or it cannot be read."""
    return retry_storage(lambda: read_count(results / FILE)) or 0


def check_fence(results: Location, number: int) -> None:
    """Raises `FencedError` if a driver later than this number has taken over; 0 is no driver."""
    if number and current_fence(results) > number:
        raise FencedError(f"driver {number} was replaced")
