"""Tune's search algorithm over the trials that the run hands out, one when a slot is free.

Tune asks for a trial whenever it has room. Handing out no more trials than slots keeps every finished trial's actor
for the next one, without requesting and cancelling a placement group in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Experiment, Trial
from ray.tune.search import SearchAlgorithm

from agrm_study.execution.driver.remote_source import RemoteSource
from agrm_study.execution.driver.study_trial import StudyTrial
from agrm_study.execution.driver.trainable import SETTINGS, SHARE, WORK
from agrm_study.execution.resources.capacity import Resources, each_kind
from agrm_study.execution.trial.work import WorkerSettings


class PlanSearch(SearchAlgorithm):  # type: ignore[misc]
    """Tune's view of a `RemoteSource`.

    Args:
        source: Hands out trials.
        settings: Settings shared by all trials.
        full: Returns the accelerators without room, given the trials that run on each.
        resources: Resources of one trial, except its share of a GPU.
        kinds: Accelerators that trials name; none when they do not.
    """

    def __init__(
        self,
        source: RemoteSource,
        settings: WorkerSettings,
        full: Callable[[Mapping[str | None, int]], frozenset[str | None]],
        resources: Resources,
        kinds: Sequence[str],
    ) -> None:
        self._source, self._resources = source, resources
        self._settings = settings.to_json()
        self._full, self._kinds = full, frozenset(each_kind(resources, kinds))
        self._live: dict[str, str | None] = {}  # trial → accelerator that it names
        self._spec: dict[str, Any] = {}

    @property
    def total_samples(self) -> int:
        return len(self._source)

    def add_configurations(self, experiments: Sequence[Experiment]) -> None:
        (experiment,) = experiments
        self._spec = experiment.spec

    def next_trial(self) -> Trial | None:
        full = self._full(Counter(self._live.values()))
        if self._live and full >= self._kinds:
            return None
        work = self._source.take(full, idle=not self._live)
        if work is None:
            return None
        trial_id = work.trial.trial_id
        share = self._source.share(trial_id)
        self._live[trial_id] = work.accelerator
        kind = work.accelerator or self._resources.accelerator
        bundle = replace(self._resources, gpu=share, accelerator=kind).bundle()
        return StudyTrial(
            self._spec["run"],
            config={WORK: work.to_json(), SETTINGS: self._settings, SHARE: share},
            trial_id=trial_id,
            storage=self._spec["storage"],
            checkpoint_config=self._spec["checkpoint_config"],
            placement_group_factory=PlacementGroupFactory([bundle]),
            max_failures=self._spec["max_failures"],
            trial_dirname_creator=_folder_name,
        )

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._live.pop(trial_id, None)

    def is_finished(self) -> bool:
        return self._source.exhausted

    def set_finished(self) -> None:
        """Does nothing: the run decides when no trial is left."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles itself for a restore that never comes

    def save_to_dir(self, dirpath: str, **kwargs: Any) -> None:
        """Does nothing: Tune's state is never read back."""


def _folder_name(trial: Trial) -> str:
    return str(trial.trial_id)
