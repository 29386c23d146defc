"""Estimation of a trial's time from measured trials with the same backbone, method and task."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agrm_study.plan.order import rough_cost
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.parts.names import short_name

Kind = tuple[str, str, str]
"""Backbone (empty for a user-defined trainer), method and task, which mostly determine the time of a trial."""

AT_LIMIT: Final = "epochs"
"""Stop reason of a trial that reached its maximum number of epochs."""


@dataclass(slots=True)
class _Finished:
    """Totals of the finished trials of one kind.

    Attributes:
        trials: Number of trials.
        epoch_s: Sum over the trials of the mean duration of an epoch, in seconds.
        stopped_after: Number of trials that were stopped early, by their number of epochs.
    """

    trials: int = 0
    epoch_s: float = 0.0
    stopped_after: Counter[float] = field(default_factory=Counter)
    _expected: dict[float, float] = field(default_factory=dict)

    def add(self, epochs: float, wall_s: float, *, stopped: bool) -> None:
        """Add a trial."""
        self.trials += 1
        self.epoch_s += wall_s / epochs
        self.stopped_after[epochs] += stopped
        self._expected.clear()

    def epochs(self, limit: float) -> float:
        """Expected number of epochs of a trial with a maximum (see `Pace.epochs`), computed once per maximum."""
        if limit not in self._expected:
            at_limit = self.trials - self.stopped_after.total()
            stopped = sum(trials * min(epochs, limit) for epochs, trials in self.stopped_after.items())
            self._expected[limit] = (at_limit * limit + stopped) / self.trials
        return self._expected[limit]


class Pace:
    """Measured seconds per epoch and numbers of epochs, by kind of trial.

    Args:
        measured: Rows of finished trials: backbone, method, task, epochs, stop_reason, and wall_s including the time
            of inherited epochs. Rows without a time or without completed epochs are ignored.
    """

    def __init__(self, measured: Iterable[Mapping[str, Any]] = ()) -> None:
        self._finished = defaultdict[Kind, _Finished](_Finished)
        self._guesses: dict[Kind, float] = {}
        for kind, rows in by_kind(measured).items():
            for row in rows:
                self._finished[kind].add(row["epochs"], row["wall_s"], stopped=row.get("stop_reason") != AT_LIMIT)

    def finished(self, trial: TrialSpec, epochs: int, wall_s: float) -> None:
        """Add a trial that has finished."""
        if epochs > 0:
            self._finished[kind_of(trial)].add(epochs, wall_s, stopped=epochs < trial.recipe.epochs)

    def under_way(self, trial: TrialSpec, epoch: int, epoch_s: float) -> None:
        """Add the last epoch of a running trial, which is used until a trial of its kind has finished."""
        cost = rough_cost(trial.recipe, epoch) - rough_cost(trial.recipe, epoch - 1)
        self._guesses[kind_of(trial)] = epoch_s / cost

    def seconds(self, trial: TrialSpec) -> float | None:
        """Expected duration in seconds of a whole trial with `epochs`; ``None`` if no trial of its kind was
        measured."""
        kind = kind_of(trial)
        if kind in self._finished:
            known = self._finished[kind]
            return known.epoch_s / known.trials * known.epochs(trial.recipe.epochs)
        if kind in self._guesses:
            return self._guesses[kind] * rough_cost(trial.recipe)
        return None

    def epochs(self, trial: TrialSpec) -> float:
        """Number of epochs that the trial is expected to run: the mean over the finished trials of its kind.

        A trial that was stopped early counts with its epochs, at most the maximum of this trial. A trial that reached
        its own maximum, which may be smaller, does not show when this trial would stop, and counts with the maximum
        of this trial.
        """
        known = self._finished.get(kind_of(trial))
        return trial.recipe.epochs if known is None else known.epochs(trial.recipe.epochs)


def kind_of(trial: TrialSpec) -> Kind:
    """The kind of a trial."""
    recipe = trial.recipe
    if recipe.own_trainer:
        return "", short_name(recipe.training.trainer), trial.task
    return recipe.model.backbone, recipe.ssl.method, trial.task


def by_kind(measured: Iterable[Mapping[str, Any]]) -> dict[Kind, list[Mapping[str, Any]]]:
    """Usable rows, which have a time and at least one epoch, by kind."""
    rows: dict[Kind, list[Mapping[str, Any]]] = {}
    for row in measured:
        if _is_number(row.get("wall_s")) and _is_number(row.get("epochs")) and row["epochs"] > 0:
            backbone = row["backbone"] if isinstance(row["backbone"], str) else ""
            rows.setdefault((backbone, row["method"], row["task"]), []).append(row)
    return rows


def _is_number(value: object) -> bool:
    try:
        return value is not None and math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
