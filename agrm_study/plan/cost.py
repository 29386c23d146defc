"""Time that the missing trials will take, estimated from measured trials."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, variance
from types import MappingProxyType
from typing import Any, Final

from agrm_study.plan.order import rough_cost
from agrm_study.plan.trial import TrialSpec

COVERAGE: Final = 1.96
"""Half width of the interval in standard errors: 95 % if the sum of the trials' times is roughly normal."""

Key = tuple[str, str, str]
"""Backbone, method and task, which mostly determine the duration of a trial."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Time of trials that have not run.

    Attributes:
        slot_hours: Time of all of them one after the other, in hours of one slot.
        plus_minus: Uncertainty of that, in hours; None where it is unknown.
        trials_covered: Trials that the estimate covers.
        trials_unknown: Trials of kinds that were never measured, excluded from ``slot_hours``.
    """

    slot_hours: float
    plus_minus: float | None
    trials_covered: int
    trials_unknown: int


def estimate_cost(
    missing: Collection[TrialSpec],
    measured: Iterable[Mapping[str, Any]],
    *,
    inherited: Mapping[str, int] = MappingProxyType({}),
) -> Cost | None:
    """Estimate from finished trials of the same backbone, method and task.

    The time of a trial is the measured time of an epoch times the epochs that such trials took, at most its own, less
    the share of inherited epochs. The interval combines the spread between trials with the uncertainty of their mean:
    n s² + n² s²/m for n missing trials and m measured ones.

    Args:
        missing: Missing trials.
        measured: Rows of finished trials: backbone, method, task, epochs, and wall_s as if each had trained all its
            epochs.
        inherited: Number of first epochs that a trial takes from another, by trial; 0 by default.

    Returns:
        The expected time and half the width of its 95 % interval, which takes two measured trials of each kind;
        None if no missing trial is of a measured kind.
    """
    rows = _by_kind(measured)
    groups: dict[Key, list[TrialSpec]] = {}
    for trial in missing:
        groups.setdefault(_kind(trial), []).append(trial)
    seconds, spread, known, bounded = 0.0, 0.0, 0, True
    for kind, trials in groups.items():
        if kind not in rows:
            continue
        of_kind = rows[kind]
        known += len(trials)
        usual_epochs = fmean(row["epochs"] for row in of_kind)
        per_epoch = fmean(row["wall_s"] / row["epochs"] for row in of_kind)
        for trial in trials:
            epochs = min(usual_epochs, trial.recipe.epochs)
            seconds += per_epoch * epochs * _own_share(trial, epochs, inherited.get(trial.trial_id, 0))
        if len(of_kind) < 2:
            bounded = False
        else:
            between = variance(row["wall_s"] for row in of_kind)
            spread += between * (len(trials) ** 2 / len(of_kind) + len(trials))
    if not known:
        return None
    return Cost(
        slot_hours=seconds / 3600,
        plus_minus=COVERAGE * math.sqrt(spread) / 3600 if bounded else None,
        trials_covered=known,
        trials_unknown=len(missing) - known,
    )


def unmeasured(missing: Iterable[TrialSpec], measured: Iterable[Mapping[str, Any]]) -> tuple[TrialSpec, ...]:
    """The trials that `estimate_cost` excludes, of kinds without a finished trial."""
    rows = _by_kind(measured)
    return tuple(trial for trial in missing if _kind(trial) not in rows)


def _own_share(trial: TrialSpec, epochs: float, inherited: int) -> float:
    """The share of a trial's cost that is not inherited; pre-training is cheaper than the later epochs."""
    return 1 - rough_cost(trial.recipe, min(inherited, epochs)) / rough_cost(trial.recipe, epochs)


def _kind(trial: TrialSpec) -> Key:
    return trial.recipe.model.backbone, trial.recipe.ssl.method, trial.task


def _by_kind(measured: Iterable[Mapping[str, Any]]) -> dict[Key, list[Mapping[str, Any]]]:
    """Usable rows by kind: those with a time and at least one epoch."""
    rows: dict[Key, list[Mapping[str, Any]]] = {}
    for row in measured:
        if _is_number(row.get("wall_s")) and _is_number(row.get("epochs")) and row["epochs"] > 0:
            rows.setdefault((row["backbone"], row["method"], row["task"]), []).append(row)
    return rows


def _is_number(value: object) -> bool:
    try:
        return value is not None and math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
