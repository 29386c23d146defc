"""Number of the driver whose workers may write, stored in ``.run/fence``.

Each driver increments it, so that a surviving worker of an earlier driver can no longer write. Each joined run has
its own number, in ``.run/fence-<run>``, and the workers of a run that was declared dead can no longer write either.
"""

from __future__ import annotations

from typing import Final

from agrm_study.records.exclusive import has_ended
from agrm_study.records.location import Location
from agrm_study.records.parsing import read_count
from agrm_study.records.patience import retry_storage

FILE: Final = ".run/fence"


class FencedError(Exception):
    """A later driver or another joined run has replaced this one: its workers must no longer write."""


def raise_fence(results: Location, run: str = "") -> int:
    """Increments the number in a results folder (for a joined run, the number of that run) and returns it."""
    number = current_fence(results, run) + 1
    retry_storage(lambda: fence_file(results, run).write_atomic(str(number).encode()))
    return number


def current_fence(results: Location, run: str = "") -> int:
    """The number in a results folder (for a joined run, the number of that run); 0 if missing or unreadable."""
    return retry_storage(lambda: read_count(fence_file(results, run))) or 0


def check_fence(results: Location, number: int, run: str) -> None:
    """Raises `FencedError` if a driver with a higher number (0: no driver) or another joined run has replaced it."""
    if number and current_fence(results, run) > number:
        raise FencedError(f"driver {number} was replaced")
    if run and retry_storage(lambda: has_ended(results, run)):
        raise FencedError(f"run {run} has ended, or was declared dead by another joined run")


def fence_file(results: Location, run: str) -> Location:
    """The file that contains the number."""
    return results / (f"{FILE}-{run}" if run else FILE)
