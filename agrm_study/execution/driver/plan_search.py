"""How are trials handed to Tune? One at a time, when a slot is free.

Tune asks for a trial whenever it has room. Handing out no more than there are slots keeps every finished trial's actor
for the next one, without a placement group asked for and cancelled in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Experiment, Trial
from ray.tune.search import SearchAlgorithm

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.gpu_growth import GpuGrowth
from agrm_study.execution.driver.trainable import SETTINGS, SHARE, WORK
from agrm_study.execution.resources.capacity import Resources
from agrm_study.execution.trial.work import Work, WorkerSettings


class PlanSearch(SearchAlgorithm):  # type: ignore[misc]
    """Tune's view of a `WorkSource`.

    Args:
        source: Hands out trials.
        settings: What is the same for all trials.
        full: Says which accelerators have no room now, given the trials that run on each.
        growth: Shares of a GPU, and the trials that come again on a larger one.
        resources: What one trial takes, its share of a GPU aside.
    """

    def __init__(
        self,
        source: WorkSource,
        settings: WorkerSettings,
        full: Callable[[Mapping[str | None, int]], frozenset[str | None]],
        growth: GpuGrowth,
        resources: Resources,
    ) -> None:
        self._source, self._growth, self._resources = source, growth, resources
        self._settings = settings.to_json()
        self._full = full
        self._live: dict[str, str | None] = {}  # trial → accelerator that it names
        self._spec: dict[str, Any] = {}

    @property
    def stopped(self) -> bool:
        """Whether also what was handed out before must not begin."""
        return self._source.stopped

    @property
    def total_samples(self) -> int:
        return len(self._source)

    def add_configurations(self, experiments: Sequence[Experiment]) -> None:
        (experiment,) = experiments
        self._spec = experiment.spec

    def next_trial(self) -> Trial | None:
        work = self._next_work()
        if work is None:
            return None
        trial_id = work.trial.trial_id
        share = self._growth.share(trial_id)
        self._live[trial_id] = work.accelerator
        kind = work.accelerator or self._resources.accelerator
        bundle = replace(self._resources, gpu=share, accelerator=kind).bundle()
        return Trial(
            self._spec["run"],
            config={WORK: work.to_json(), SETTINGS: self._settings, SHARE: share},
            trial_id=trial_id,
            storage=self._spec["storage"],
            checkpoint_config=self._spec["checkpoint_config"],
            placement_group_factory=PlacementGroupFactory([bundle]),
            max_failures=self._spec["max_failures"],
            trial_dirname_creator=_folder_name,
        )

    def _next_work(self) -> Work | None:
        """A trial that comes again, else a new one; nothing new while a larger share of a GPU is waited for."""
        if self._source.stopped:
            self._growth.stop()
            return None
        full = self._full(Counter(self._live.values()))
        again = self._growth.next(lambda trial_id: self._source.work(trial_id).accelerator not in full)
        if again is not None:
            return self._source.work(again)
        waited_for = {self._source.work(trial_id).accelerator for trial_id in self._growth.needs_room}
        work = self._source.take(full | waited_for)
        if work is None and not self._live and not waited_for:
            return self._source.take()  # its nodes have left: it waits for one, for an autoscaler to see
        return work

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._live.pop(trial_id, None)

    def is_finished(self) -> bool:
        return self._source.exhausted and (self._source.stopped or not self._growth.pending)

    def set_finished(self) -> None:
        self._source.stop()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # the Tuner pickles itself for a restore that never comes

    def save_to_dir(self, dirpath: str, **kwargs: Any) -> None:
        """Nothing: Tune's state is never read back."""


def _folder_name(trial: Trial) -> str:
    return str(trial.trial_id)
