"""Detection of workers that hang.

Ray waits indefinitely for a hanging worker: a decoder that never returns, a GPU that does not respond, a stopped
process.
"""

from __future__ import annotations

from typing import Final

FIRST_EPOCH_S: Final = 3600.0
"""Minimum limit from a trial's start, or from its last new note while it waits, to the end of its first epoch."""
EPOCH_S: Final = 900.0
"""Minimum limit from the end of one epoch to the end of the next."""
FACTOR: Final = 20.0
"""The limit is at least this multiple of the trial's longest epoch (before its first: the longest of any trial)."""
PAUSE_S: Final = 10.0
"""The driver checks several times a second; a pause longer than this means that the driver itself was suspended."""


class StallDetector:
    """Detects trials without recent updates; times are seconds on the monotonic clock.

    Args:
        first_epoch_s: Minimum limit before a trial's first epoch.
        epoch_s: Minimum limit from one epoch to the next.
    """

    def __init__(self, first_epoch_s: float = FIRST_EPOCH_S, epoch_s: float = EPOCH_S) -> None:
        self._first_epoch_s, self._epoch_s = first_epoch_s, epoch_s
        self._last: dict[str, float] = {}
        self._longest: dict[str, float] = {}
        self._longest_of_all = 0.0
        self._notes: dict[str, str] = {}
        self._looked: float | None = None

    def began(self, trial_id: str, now: float) -> None:
        """Records that a worker has accepted the trial."""
        self._last[trial_id] = now

    def prepares(self, trial_id: str, now: float, note: str) -> None:
        """Records that the trial waits for an operation.

        Only a new note counts as an update, since a stalled copy repeats its note.
        """
        if self._notes.get(trial_id) != note:
            self._notes[trial_id], self._last[trial_id] = note, now

    def heard(self, trial_id: str, now: float, epoch_s: float) -> None:
        """Records that the trial has completed an epoch."""
        self._last[trial_id] = now
        self._longest[trial_id] = max(self._longest.get(trial_id, 0.0), epoch_s)
        self._longest_of_all = max(self._longest_of_all, epoch_s)

    def ended(self, trial_id: str) -> None:
        """Records that the trial is no longer running."""
        self._last.pop(trial_id, None)
        self._longest.pop(trial_id, None)
        self._notes.pop(trial_id, None)

    def too_long(self, now: float) -> list[tuple[str, float]]:
        """The trials without an update for longer than their limit, with the time since the last update."""
        if self._looked is not None and now - self._looked > PAUSE_S:
            pause = now - self._looked
            self._last = {trial_id: min(now, last + pause) for trial_id, last in self._last.items()}
        self._looked = now
        return [(trial_id, now - last) for trial_id, last in self._last.items() if now - last > self._limit(trial_id)]

    def _limit(self, trial_id: str) -> float:
        own = self._longest.get(trial_id)
        if own is None:
            return max(self._first_epoch_s, FACTOR * self._longest_of_all)
        return max(self._epoch_s, FACTOR * own)
