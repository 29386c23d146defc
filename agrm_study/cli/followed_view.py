"""A view that wraps another view and notifies followers, such as hooks, when a trial ends."""

from __future__ import annotations

from collections.abc import Sequence

from agrm_study.execution.data.prepare import Step
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.progress.view import View
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.hooks.follow import Follower


class FollowedView(View):
    """Wraps another view and notifies followers when a trial ends.

    Args:
        shown: The wrapped view.
        followers: Objects to notify, such as updaters of hooks.
    """

    def __init__(self, shown: View, followers: Sequence[Follower]) -> None:
        self._shown, self._followers = shown, followers

    def __enter__(self) -> View:
        self._shown.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._shown.__exit__(*error)

    def step(self, step: Step) -> None:
        self._shown.step(step)

    def begin(self, progress: StudyProgress) -> None:
        self._shown.begin(progress)
        if progress.counts().finished:
            self._changed()

    def event(self, event: TrialEvent, trial: TrialProgress) -> None:
        self._shown.event(event, trial)
        if event.kind in ("finished", "failed"):
            self._changed()

    def refresh(self) -> None:
        self._shown.refresh()
        for follower in self._followers:
            if (problem := follower.problem()) is not None:
                self._shown.message(problem)

    def message(self, text: str) -> None:
        self._shown.message(text)

    def _changed(self) -> None:
        for follower in self._followers:
            follower.changed()
