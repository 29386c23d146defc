"""Base class of the views of a running study."""

from __future__ import annotations

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.trial.events import TrialEvent


class View:
    """Shows nothing; derived classes override its methods.

    A view is a context manager around the run. Every method is called in the thread of the run.
    """

    def __enter__(self) -> View:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def step(self, step: Step) -> None:
        """A step of the preparation has advanced; its length is unknown if ``total`` is 0."""

    def begin(self, progress: StudyProgress) -> None:
        """The plan is complete; `progress` changes during the run."""

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        """The state of a trial has changed; `progress` is up to date."""

    def refresh(self) -> None:
        """Time has passed."""

    def message(self, text: str) -> None:
        """A message for the user."""
