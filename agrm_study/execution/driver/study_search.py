"""Search algorithm for Tune that forwards the trials of the run, one per free slot.

Tune requests a trial whenever it has capacity. Since no more trials are handed out than there are slots, the actor of
a finished trial is reused for the next one, without requesting and cancelling a placement group in between.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Experiment, Trial
from ray.tune.search import SearchAlgorithm

from agrm_study.execution.driver.channel import Channel
from agrm_study.execution.driver.protocol import Assigned, Event, Take
from agrm_study.execution.driver.study_trial import StudyTrial
from agrm_study.execution.driver.trainable import SETTINGS, SHARE, WORK
from agrm_study.execution.resources.capacity import Placement
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.work import Work, WorkerSettings

ASK_EVERY_S: Final = 1.0
"""Seconds between two requests for a trial while nothing has changed."""


class StudySearch(SearchAlgorithm):  # type: ignore[misc]
    """Requests trials from the run and reports their events to it.

    Args:
        full: Returns the accelerators without free capacity, given the number of running trials on each.
        placement: Resources of one trial, except its share of a GPU, and the accelerators that trials request.
    """

    def __init__(
        self,
        channel: Channel,
        settings: WorkerSettings,
        total: int,
        full: Callable[[Mapping[str | None, int]], frozenset[str | None]],
        placement: Placement,
    ) -> None:
        self._channel, self._resources, self._total = channel, placement.resources, total
        self._settings, self._prune = settings.to_json(), settings.prune
        self._full, self._kinds = full, frozenset(placement.each_kind())
        self._live: dict[str, str | None] = {}  # trial → accelerator that it requests
        self._works: dict[str, Work] = {}
        self._asked: Take | None = None  # the last request, if nothing has changed since
        self._asked_at = 0.0
        self._finished = False
        self._spec: dict[str, Any] = {}

    def work(self, trial_id: str) -> Work:
        """The work of a trial that was handed out."""
        return self._works[trial_id]

    def report(self, event: TrialEvent) -> None:
        """Sends an event; other trials may be available afterwards.

        If the run prunes trials, the next epoch starts only after the run's decision.
        """
        if self._prune and event.kind == "epoch":
            self._channel.ask(Event(event.to_json(), waits=True))
        else:
            self._channel.send(Event(event.to_json()))
        self._asked = None

    @property
    def total_samples(self) -> int:
        return self._total

    def add_configurations(self, experiments: Sequence[Experiment]) -> None:
        (experiment,) = experiments
        self._spec = experiment.spec

    def next_trial(self) -> Trial | None:
        full = self._full(Counter(self._live.values()))
        if self._channel.stopped or (self._live and full >= self._kinds):
            return None
        take, now = Take(tuple(sorted(full, key=str)), idle=not self._live), time.monotonic()
        if take == self._asked and now - self._asked_at < ASK_EVERY_S:
            return None
        assigned = self._channel.ask(take)
        assert isinstance(assigned, Assigned)
        self._finished, self._asked, self._asked_at = assigned.finished, take, now
        if assigned.work is None:
            return None
        self._asked = None
        work = Work.from_json(assigned.work)
        trial_id, kind = work.trial.trial_id, work.accelerator
        self._works[trial_id], self._live[trial_id] = work, kind
        resources = replace(self._resources, gpu=assigned.share, accelerator=kind or self._resources.accelerator)
        return StudyTrial(
            self._spec["run"],
            config={WORK: assigned.work, SETTINGS: self._settings, SHARE: assigned.share},
            trial_id=trial_id,
            storage=self._spec["storage"],
            checkpoint_config=self._spec["checkpoint_config"],
            placement_group_factory=PlacementGroupFactory([resources.bundle()]),
            max_failures=self._spec["max_failures"],
            trial_dirname_creator=_folder_name,
        )

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._live.pop(trial_id, None)

    def is_finished(self) -> bool:
        """Whether no more trials will be handed out, according to the last reply; unknown (False) after an event."""
        return self._channel.stopped or (self._finished and self._asked is not None)

    def set_finished(self) -> None:
        """Does nothing: the run decides when no trial is left."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles itself for a restore that is never used

    def save_to_dir(self, dirpath: str, **kwargs: Any) -> None:
        """Does nothing: Tune's state is never read back."""


def _folder_name(trial: Trial) -> str:
    return str(trial.trial_id)
