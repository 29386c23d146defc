"""Detection of repeated failures, after which the remaining trials of an arm or a search are held back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.plan.plan import Cell
from agrm_study.records.reader import TrialState

HOLD_AFTER: Final = 3
"""Number of trials of an arm that fail in the same way before the rest of the arm is held back."""
SEARCH: Final = "search"
"""Name of the group of all trials of a search."""


class RepeatedFailures:
    """Deterministic failures of groups of trials, grouped by cause.

    Trials fail in the same way when their failures have the same class and the same location in the code (or the same
    message, if no location is known). All divergences count as the same failure, since their messages contain the epoch
    and the losses.
    """

    def __init__(self) -> None:
        self._trials: dict[tuple[str, str, str], set[str]] = {}
        self.held: set[str] = set()

    def add(self, group: str, trial_id: str, failure: str | None, message: str, frame: str) -> bool:
        """Counts a failure; returns whether it causes the rest of its group to be held back."""
        if failure is None or failure not in DETERMINISTIC:
            return False
        cause = "" if failure == "nan_loss" else frame or message
        alike = self._trials.setdefault((group, failure, cause), set())
        alike.add(trial_id)
        if len(alike) < HOLD_AFTER or group in self.held:
            return False
        self.held.add(group)
        return True

    def add_recorded(self, group: str, trial_id: str, state: TrialState) -> None:
        """Counts a failure recorded in the ledger (`Failure.error`)."""
        self.add(group, trial_id, state.failure, *message_and_frame(state.error))


def message_and_frame(error: str | None) -> tuple[str, str]:
    """The message in a recorded error (`Failure.error`), and its location in the code, empty if unknown."""
    message, _, rest = (error or "").partition("\n")
    second = rest.partition("\n")[0]
    return message, second.removeprefix("at ") if second[:3] == "at " else ""


def repeated_in_arms(cells: Iterable[Cell], states: Mapping[str, TrialState]) -> RepeatedFailures:
    """The recorded failures of each arm; a trial used by several cells is attributed to the arm of the first cell."""
    repeated, counted = RepeatedFailures(), set[str]()
    for cell in cells:
        state = states.get(cell.trial_id)
        if state is not None and state.status == "failed" and cell.trial_id not in counted:
            repeated.add_recorded(cell.arm, cell.trial_id, state)
        counted.add(cell.trial_id)
    return repeated


def held_trials(
    cells: Sequence[Cell],
    states: Mapping[str, TrialState],
    started: Collection[str],
    repeated: RepeatedFailures | None = None,
) -> list[str]:
    """The trials that are not started because their arm keeps failing in the same way.

    Args:
        started: Started trials without a record; they are always resumed.
        repeated: The failures to count; by default the recorded failures.
    """
    repeated = repeated_in_arms(cells, states) if repeated is None else repeated
    arm_of: dict[str, str] = {}
    for cell in cells:
        arm_of.setdefault(cell.trial_id, cell.arm)
    known = states.keys() | set(started)
    return [trial_id for trial_id, arm in arm_of.items() if arm in repeated.held and trial_id not in known]


def search_keeps_failing(states: Iterable[tuple[str, TrialState]]) -> bool:
    """Whether a search is held back: several of its trials failed in the same way, and none has finished.

    Divergence is a valid result for a setting and does not count.
    """
    repeated = RepeatedFailures()
    for trial_id, state in states:
        if state.status == "finished":
            return False
        if state.failure != "nan_loss":
            repeated.add_recorded(SEARCH, trial_id, state)
    return SEARCH in repeated.held
