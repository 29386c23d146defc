"""Base class of the views of a running study."""

from __future__ import annotations

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.trial.events import TrialEvent


class View:
    """A view that shows nothing; subclasses override its methods.

    A view is a context manager around the run. All methods are called from the thread of the run.
    """

    def __enter__(self) -> View:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def step(self, step: Step) -> None:
        """Called when a preparation step advances; its length is unknown if ``total`` is 0."""

    def begin(self, progress: StudyProgress) -> None:
        """Called when the plan is complete; `progress` is updated during the run."""

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        """Called when the state of a trial has changed; `progress` is already up to date."""

    def refresh(self) -> None:
        """Called regularly to update the times shown."""

    def message(self, text: str) -> None:
        """Shows a message to the user."""
