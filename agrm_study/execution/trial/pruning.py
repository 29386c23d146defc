"""Requests to end a trial early: small files in ``.run/prune``, read by the trial's worker.

The driver decides between two epochs, so the worker sees the decision before it starts the next epoch. The file
contains the epoch: a trial that was killed in the meantime ends at the same epoch when it resumes from its checkpoint.
"""

from __future__ import annotations

from typing import Final

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_count

FOLDER: Final = ".run/prune"


def ask_to_end(results: Location, trial_id: str, epoch: int) -> None:
    """Requests that a trial end after this epoch."""
    (results / FOLDER / trial_id).write_atomic(str(epoch).encode(), durable=False)


def ends_after(results: Location, trial_id: str) -> int | None:
    """The epoch after which a trial is to end; ``None`` if there is no readable request."""
    return read_count(results / FOLDER / trial_id)


def forget(results: Location, trial_id: str) -> None:
    """Removes the request of a trial that has ended."""
    (results / FOLDER / trial_id).delete()
