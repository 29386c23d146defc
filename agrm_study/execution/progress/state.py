"""How far is a study? Pure bookkeeping of events; the views draw it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, Literal

from agrm_study.execution.trial.events import TrialEvent
from agrm_study.plan.plan import Plan
from agrm_study.records.reader import TrialState
from agrm_study.records.schemas import PRUNED
from agrm_study.study.study import Study

SHOWN: Final = ("macro_f1", "accuracy", "balanced_accuracy")
"""Metrics that are known after every epoch."""

State = Literal["waiting", "running", "finished", "failed", "held"]


@dataclass(slots=True)
class TrialProgress:
    """How far one trial is.

    Attributes:
        epoch: Epochs done.
        metric: Validation metric: of the last epoch while running, of the best one when finished.
        wall_s: Seconds of training up to `heard`; those of inherited epochs count.
        heard: When it was last heard of, on the monotonic clock.
        now: Whether this run has finished or failed it.
        pruned: Whether a search ended it early; its metric is then no result of its settings.
        inherited: Epochs that this run took over from another trial instead of training them.
        note: What it waits for before its first epoch.
    """

    trial_id: str
    arm: str
    task: str
    seed: int
    epochs: int
    state: State = "waiting"
    epoch: int = 0
    metric: float | None = None
    wall_s: float = 0.0
    epoch_s: float = 0.0
    heard: float = 0.0
    started: float = 0.0
    attempt: int = 0
    failure: str | None = None
    error: str | None = None
    now: bool = False
    pruned: bool = False
    inherited: int = 0
    note: str = ""

    @property
    def own_share(self) -> float:
        """Share of its epochs so far that this run trained for it alone."""
        return 1 - self.inherited / self.epoch if self.epoch else 1.0


@dataclass(frozen=True, slots=True)
class Counts:
    """Trials by state."""

    total: int
    finished: int
    running: int
    failed: int
    held: int
    waiting: int


@dataclass(slots=True)
class StudyProgress:
    """How far a study is.

    Attributes:
        metric: Name of the validation metric shown.
        cells: Trial of each (task, arm, seed).
        slots: Trials at once, as far as is known.
        to_draw: Trials of a search that are not drawn yet; None when this is no search.
        maximize: Whether a higher metric is better.
    """

    name: str
    question: str
    metric: str
    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: dict[tuple[str, str, int], str]
    trials: dict[str, TrialProgress]
    slots: int = 1
    to_draw: int | None = None
    maximize: bool = True
    clock: Callable[[], float] = time.monotonic
    began: float = field(default=0.0)

    @classmethod
    def of(
        cls,
        study: Study,
        plan: Plan,
        states: Mapping[str, TrialState],
        *,
        metrics: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> StudyProgress:
        """The progress of a study before its run starts.

        Args:
            study: The study.
            plan: Its trials.
            states: What the ledger knows.
            metrics: Validation metric of finished trials, where known.
            clock: Seconds.
        """
        trials = {}
        for spec in plan.trials:
            trial = TrialProgress(spec.trial_id, spec.arm, spec.task, spec.seed, spec.recipe.epochs)
            known = states.get(spec.trial_id)
            if known is not None:
                trial.state = "finished" if known.status == "finished" else "failed"
                trial.failure, trial.error = known.failure, (known.error or "").partition("\n")[0] or None
                trial.wall_s, trial.attempt = known.wall_s or 0.0, known.attempt
                trial.metric = (metrics or {}).get(spec.trial_id)
            trials[spec.trial_id] = trial
        cells = {(cell.task, cell.arm, cell.seed): cell.trial_id for cell in plan.cells}
        return cls(
            name=study.name,
            question=study.question,
            metric=shown_metric_name(study),
            tasks=tuple(study.tasks),
            arms=tuple(dict.fromkeys(cell.arm for cell in plan.cells)),
            seeds=tuple(dict.fromkeys(cell.seed for cell in plan.cells)),
            cells=cells,
            trials=trials,
            clock=clock,
            began=clock(),
        )

    def best(self, most: int = 1) -> list[TrialProgress]:
        """The finished trials with the best metrics, best first."""
        done = [t for t in self.trials.values() if t.state == "finished" and t.metric is not None and not t.pruned]
        return sorted(done, key=lambda t: t.metric or 0.0, reverse=self.maximize)[:most]

    def reopen(self, trial_ids: Iterable[str]) -> None:
        """These trials will be run: failures of theirs are past."""
        for trial_id in trial_ids:
            trial = self.trials[trial_id]
            trial.state, trial.failure, trial.error, trial.wall_s = "waiting", None, None, 0.0

    def spare(self, cells: Collection[tuple[str, str, int]]) -> None:
        """These cells, (arm, task, seed), need no trial any more; one that fills another cell too stays."""
        for arm, task, seed in cells:
            self.cells.pop((task, arm, seed), None)
        wanted = set(self.cells.values())
        self.trials = {trial_id: trial for trial_id, trial in self.trials.items() if trial_id in wanted}

    def apply(self, event: TrialEvent) -> TrialProgress:
        """Takes note of an event; gives the trial that it is about."""
        trial = self.trials[event.trial_id]
        now = trial.heard = self.clock()
        if event.kind == "started":
            trial.state, trial.started, trial.epoch, trial.metric = "running", now, 0, None
            trial.attempt = event.attempt
        elif event.kind == "preparing":
            trial.state = "running"
        elif event.kind == "epoch":
            trial.state = "running"
            trial.epoch, trial.metric, trial.epoch_s = event.epoch, event.metric, event.epoch_s
        elif event.kind in ("finished", "failed"):
            trial.state, trial.now = ("finished" if event.kind == "finished" else "failed"), True
            trial.epoch, trial.metric = event.epoch, event.metric
            trial.failure, trial.error = event.failure, event.error
            trial.pruned = event.stop_reason == PRUNED
        elif event.kind in ("interrupted", "retried"):
            trial.state, trial.epoch = "waiting", event.epoch
        elif event.kind == "held":
            trial.state = "held"
        trial.note = event.note
        if event.wall_s:
            trial.wall_s = event.wall_s
        trial.inherited = max(trial.inherited, event.inherited)
        return trial

    @property
    def inherited(self) -> int:
        """Epochs that this run's trials took over from others instead of training them."""
        return sum(trial.inherited for trial in self.trials.values())

    def counts(self) -> Counts:
        """Trials by state."""
        found = dict.fromkeys(("waiting", "running", "finished", "failed", "held"), 0)
        found |= Counter(map(attrgetter("state"), self.trials.values()))
        found["waiting"] += self.to_draw or 0
        return Counts(total=len(self.trials) + (self.to_draw or 0), **found)

    def running(self) -> list[TrialProgress]:
        """The trials that are running, longest first."""
        return sorted((t for t in self.trials.values() if t.state == "running"), key=lambda t: t.started)

    def time_left_s(self) -> float | None:
        """Seconds until the last trial ends, from what trials took so far; ``None`` before anything was measured.

        A trial that waits is expected to take over as much from others as those of its arm did.
        """
        cost, own_cost = self._measured(own=False), self._measured(own=True)
        if cost is None or own_cost is None:
            return None
        left = longest = 0.0
        now = self.clock()
        if self.to_draw:
            walls = [t.wall_s * t.own_share for t in self.trials.values() if t.state == "finished" and t.wall_s > 0]
            usual = sum(walls) / len(walls) if walls else own_cost(next(iter(self.trials.values())))
            left = usual * self.to_draw
        for trial in self.trials.values():
            if trial.state == "waiting":
                left += own_cost(trial)
            elif trial.state == "running":
                spent = trial.wall_s + (now - trial.heard)
                rest = max(cost(trial) - spent, trial.epoch_s * 0.5)
                left += rest
                longest = max(longest, rest)
        return max(left / max(1, self.slots), longest)

    def _measured(self, *, own: bool) -> Callable[[TrialProgress], float] | None:
        """Seconds that a trial takes: by arm and task where measured, else on average.

        Args:
            own: Without the epochs that it takes over; else as if it were trained alone, as its `wall_s` counts.
        """
        sums: dict[tuple[str, str], list[float]] = {}
        guesses: dict[tuple[str, str], list[float]] = {}
        for trial in self.trials.values():
            key = (trial.arm, trial.task)
            if trial.state == "finished" and trial.wall_s > 0:
                sums.setdefault(key, []).append(trial.wall_s * (trial.own_share if own else 1))
            elif trial.state == "running" and trial.epoch > 0:
                epochs = trial.epochs - (trial.inherited if own else 0)
                guesses.setdefault(key, []).append(trial.wall_s / trial.epoch * epochs)
        means = {key: sum(v) / len(v) for key, v in (guesses | sums).items()}
        if not means:
            return None
        overall = sum(means.values()) / len(means)
        return lambda trial: means.get((trial.arm, trial.task), overall)


def shown_metric_name(study: Study) -> str:
    """The validation metric that progress shows: the study's own where it is known after every epoch."""
    return study.primary_metric if study.primary_metric in SHOWN else SHOWN[0]
