"""How does a worker hear that its trial is to end early? By a small file in ``.run/prune``.

The driver decides between two epochs, so the worker sees the decision before it begins the next one. The file says
after which epoch: a trial that was killed meanwhile ends at the same epoch when it goes on from its checkpoint.
"""

from __future__ import annotations

from typing import Final

from agrm_study.records.location import Location

FOLDER: Final = ".run/prune"


def ask_to_end(results: Location, trial_id: str, epoch: int) -> None:
    """The trial is to end after this epoch."""
    (results / FOLDER / trial_id).write_atomic(str(epoch).encode(), durable=False)


def ends_after(results: Location, trial_id: str) -> int | None:
    """The epoch after which a trial is to end; ``None`` when it may go on."""
    content = (results / FOLDER / trial_id).read()
    return int(content) if content is not None and content.isdigit() else None


def forget(results: Location, trial_id: str) -> None:
    """The trial has ended."""
    (results / FOLDER / trial_id).delete()
