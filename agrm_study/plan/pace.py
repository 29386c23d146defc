"""Estimation of a trial's time from measured trials with the same backbone, method and task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
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
    """Finished trials of one kind.

    Attributes:
        stopped_after: Number of epochs after which each trial was stopped early; infinite if it reached its maximum.
        epoch_s: Mean duration of an epoch of each trial, in seconds.
    """

    stopped_after: list[float] = field(default_factory=list)
    epoch_s: list[float] = field(default_factory=list)


class Pace:
    """Measured seconds per epoch and numbers of epochs, by kind of trial.

    Args:
        measured: Rows of finished trials: backbone, method, task, epochs, stop_reason, and wall_s including the time
            of inherited epochs. Rows without a time or without completed epochs are ignored.
    """

    def __init__(self, measured: Iterable[Mapping[str, Any]] = ()) -> None:
        self._finished: dict[Kind, _Finished] = {}
        self._guesses: dict[Kind, float] = {}
        for kind, rows in by_kind(measured).items():
            for row in rows:
                self._add(kind, row["epochs"], row["wall_s"], stopped=row.get("stop_reason") != AT_LIMIT)

    def finished(self, trial: TrialSpec, epochs: int, wall_s: float) -> None:
        """Add a trial that has finished."""
        if epochs > 0:
            self._add(kind_of(trial), epochs, wall_s, stopped=epochs < trial.recipe.epochs)

    def under_way(self, trial: TrialSpec, epoch: int, epoch_s: float) -> None:
        """Add the last epoch of a running trial, which is used until a trial of its kind has finished."""
        cost = rough_cost(trial.recipe, epoch) - rough_cost(trial.recipe, epoch - 1)
        self._guesses[kind_of(trial)] = epoch_s / cost

    def seconds(self, trial: TrialSpec) -> float | None:
        """Expected duration in seconds of a whole trial with `epochs`; ``None`` if no trial of its kind was
        measured."""
        kind = kind_of(trial)
        if kind in self._finished:
            return fmean(self._finished[kind].epoch_s) * self.epochs(trial)
        if kind in self._guesses:
            return self._guesses[kind] * rough_cost(trial.recipe)
        return None

    def epochs(self, trial: TrialSpec) -> float:
        """Number of epochs that the trial is expected to run: the mean over the finished trials of its kind.

        A trial that was stopped early counts with its epochs, at most the maximum of this trial. A trial that reached
        its own maximum, which may be smaller, does not show when this trial would stop, and counts with the maximum
        of this trial.
        """
        limit = float(trial.recipe.epochs)
        known = self._finished.get(kind_of(trial))
        return limit if known is None else fmean(min(epochs, limit) for epochs in known.stopped_after)

    def _add(self, kind: Kind, epochs: float, wall_s: float, *, stopped: bool) -> None:
        known = self._finished.setdefault(kind, _Finished())
        known.stopped_after.append(epochs if stopped else math.inf)
        known.epoch_s.append(wall_s / epochs)


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
