"""Estimation of the time that missing trials will take, based on measured trials."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, variance
from types import MappingProxyType
from typing import Any, Final

from agrm_study.plan.order import rough_cost
from agrm_study.plan.pace import Kind, Pace, by_kind, kind_of
from agrm_study.plan.trial import TrialSpec

COVERAGE: Final = 1.96
"""Half-width of the interval in standard errors: 95 % if the total time is approximately normally distributed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Estimated time of trials that have not run.

    Attributes:
        slot_hours: Total time of the trials run sequentially in one slot, in hours.
        plus_minus: Uncertainty of the total, in hours; None if unknown.
        trials_covered: Number of trials that the estimate covers.
        trials_unknown: Number of trials of kinds without measurements, excluded from ``slot_hours``.
    """

    slot_hours: float
    plus_minus: float | None
    trials_covered: int
    trials_unknown: int


def estimate_cost(
    missing: Collection[TrialSpec],
    measured: Collection[Mapping[str, Any]],
    *,
    inherited: Mapping[str, int] = MappingProxyType({}),
) -> Cost | None:
    """Estimate the time from finished trials with the same backbone, method and task.

    The time of a trial is the measured time of an epoch times the expected number of epochs (`Pace.epochs`), minus the
    share of inherited epochs. The interval combines the spread between trials with the uncertainty of their mean:
    n s² + n² s²/m for n missing and m measured trials, with the standard deviation s of the measured times, scaled by
    the ratio of expected to measured epochs.

    Args:
        missing: Missing trials.
        measured: Rows of finished trials: see `Pace`.
        inherited: Number of initial epochs that a trial inherits from another trial, by trial; 0 by default.

    Returns:
        The expected time and the half-width of its 95 % interval, which requires two measured trials of each kind;
        None if no trial of the same kind was measured for any of them.
    """
    rows, pace = by_kind(measured), Pace(measured)
    seconds = [its for its in _trial_seconds(missing, pace, inherited) if its is not None]
    spread, epochs = 0.0, dict[Kind, list[float]]()
    for trial in missing:
        if (kind := kind_of(trial)) in rows:
            epochs.setdefault(kind, []).append(pace.epochs(trial))
    for kind, expected in epochs.items():
        walls, number = [row["wall_s"] for row in rows[kind]], len(expected)
        longer = fmean(expected) / fmean(row["epochs"] for row in rows[kind])
        spread += variance(walls) * longer**2 * (number**2 / len(walls) + number) if len(walls) > 1 else math.inf
    if not seconds:
        return None
    return Cost(
        slot_hours=math.fsum(seconds) / 3600,
        plus_minus=COVERAGE * math.sqrt(spread) / 3600 if spread < math.inf else None,
        trials_covered=len(seconds),
        trials_unknown=len(missing) - len(seconds),
    )


def unmeasured(missing: Iterable[TrialSpec], measured: Iterable[Mapping[str, Any]]) -> tuple[TrialSpec, ...]:
    """The trials that `estimate_cost` excludes because no trial of their kind has finished."""
    rows = by_kind(measured)
    return tuple(trial for trial in missing if kind_of(trial) not in rows)


def trial_seconds(
    missing: Iterable[TrialSpec],
    measured: Iterable[Mapping[str, Any]],
    *,
    inherited: Mapping[str, int] = MappingProxyType({}),
) -> list[float | None]:
    """Expected seconds of each trial without its inherited epochs, ``None`` for kinds without measurements.

    Args:
        missing: See `estimate_cost`.
        measured: See `estimate_cost`.
        inherited: See `estimate_cost`.
    """
    return _trial_seconds(missing, Pace(measured), inherited)


def _trial_seconds(missing: Iterable[TrialSpec], pace: Pace, inherited: Mapping[str, int]) -> list[float | None]:
    found: list[float | None] = []
    for trial in missing:
        alone = pace.seconds(trial)
        share = _own_share(trial, pace.epochs(trial), inherited.get(trial.trial_id, 0))
        found.append(None if alone is None else alone * share)
    return found


def _own_share(trial: TrialSpec, epochs: float, inherited: int) -> float:
    """The share of a trial's cost that is not inherited; pre-training is cheaper than the later epochs."""
    return 1 - rough_cost(trial.recipe, min(inherited, epochs)) / rough_cost(trial.recipe, epochs)
