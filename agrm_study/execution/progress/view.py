"""What must a view of a running study be able to show?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.trial.events import TrialEvent


class View(ABC):
    """Shows a run; a context manager around all of it. Every method is called in the thread of the run."""

    def __enter__(self) -> View:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def step(self, step: Step) -> None:
        """A step of the preparation has begun or gone on; ``total`` 0 has no known length."""

    @abstractmethod
    def begin(self, progress: StudyProgress) -> None:
        """The plan stands; `progress` changes while the run goes on."""

    @abstractmethod
    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        """Something happened to a trial; `progress` knows of it already."""

    @abstractmethod
    def tick(self) -> None:
        """Time has passed."""

    @abstractmethod
    def message(self, text: str) -> None:
        """Something a person should read."""


class NoView(View):
    """Shows nothing."""

    def step(self, step: Step) -> None:
        return None

    def begin(self, progress: StudyProgress) -> None:
        return None

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        return None

    def tick(self) -> None:
        return None

    def message(self, text: str) -> None:
        return None
