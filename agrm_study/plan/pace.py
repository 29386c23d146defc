"""Estimation of a trial's time from measured trials with the same backbone, method and task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from agrm_study.plan.order import rough_cost
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.parts.names import short_name

Kind = tuple[str, str, str]
"""Backbone (empty for a user-defined trainer), method and task, which mostly determine the time of a trial."""


class Pace:
    """Measured seconds per epoch and numbers of epochs, by kind of trial.

    Args:
        measured: Rows of finished trials: backbone, method, task, epochs, and wall_s including the time of inherited
            epochs. Rows without a time or without completed epochs are ignored.
    """

    def __init__(self, measured: Iterable[Mapping[str, Any]] = ()) -> None:
        self._finished: dict[Kind, tuple[int, float, float]] = {}  # trials, sum of epochs, sum of seconds per epoch
        self._guesses: dict[Kind, float] = {}
        for kind, rows in by_kind(measured).items():
            for row in rows:
                self._add(kind, row["epochs"], row["wall_s"])

    def finished(self, trial: TrialSpec, epochs: int, wall_s: float) -> None:
        """Add a trial that has finished."""
        if epochs > 0:
            self._add(kind_of(trial), epochs, wall_s)

    def under_way(self, trial: TrialSpec, epoch: int, epoch_s: float) -> None:
        """Add the last epoch of a running trial, which is used until a trial of its kind has finished."""
        cost = rough_cost(trial.recipe, epoch) - rough_cost(trial.recipe, epoch - 1)
        self._guesses[kind_of(trial)] = epoch_s / cost

    def seconds(self, trial: TrialSpec) -> float | None:
        """Expected duration in seconds of a whole trial with the mean number of epochs of trials of its kind, at most
        its own maximum; ``None`` if no trial of its kind was measured."""
        kind = kind_of(trial)
        if kind in self._finished:
            trials, epochs, per_epoch = self._finished[kind]
            return per_epoch / trials * min(epochs / trials, trial.recipe.epochs)
        if kind in self._guesses:
            return self._guesses[kind] * rough_cost(trial.recipe)
        return None

    def epochs(self, trial: TrialSpec) -> float:
        """Number of epochs that the trial is expected to run."""
        trials, epochs, _ = self._finished.get(kind_of(trial), (1, math.inf, 0.0))
        return min(epochs / trials, trial.recipe.epochs)

    def _add(self, kind: Kind, epochs: float, wall_s: float) -> None:
        trials, all_epochs, per_epoch = self._finished.get(kind, (0, 0.0, 0.0))
        self._finished[kind] = trials + 1, all_epochs + epochs, per_epoch + wall_s / epochs


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
