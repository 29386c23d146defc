"""What will the missing trials cost, judging by those that were measured?"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any, Final

from agrm_study.plan.trial import TrialSpec

COVERAGE: Final = 1.96
"""Standard errors on either side: 95 % if the trials' times are roughly normal in sum."""

Key = tuple[str, str, str]
"""Backbone, method, task: what mostly decides how long a trial takes."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Time and disk of trials that have not run.

    Attributes:
        hours: Expected time of all of them one after the other, in hours of one slot.
        plus_minus: Half width of a 95 % interval of that, in hours; None with fewer than two measured trials of a kind.
        known: Trials that the estimate covers.
        unknown: Trials of kinds that were never measured; ``hours`` leaves them out.
        disk_bytes: Disk that the trials' best weights take, or None when no parameter count is known.
    """

    hours: float
    plus_minus: float | None
    known: int
    unknown: int
    disk_bytes: int | None


def estimate_cost(missing: Collection[TrialSpec], measured: Iterable[Mapping[str, Any]]) -> Cost | None:
    """Estimate from finished trials of the same backbone, method and task.

    The time of a trial is the measured time of an epoch times the epochs that such trials took, at most its own. The
    interval joins the spread between trials with the uncertainty of their mean: n s² + n² s²/m for n trials to come
    after m measured ones.

    Args:
        missing: Trials to come.
        measured: Rows of finished trials: backbone, method, task, wall_s, epochs and, if known, n_params.

    Returns:
        None when no missing trial is of a measured kind.
    """
    rows = _by_kind(measured)
    groups: dict[Key, list[TrialSpec]] = {}
    for trial in missing:
        groups.setdefault(_kind(trial), []).append(trial)
    seconds, spread, known, disk = 0.0, 0.0, 0, 0
    bounded, sized = True, False
    for kind, trials in groups.items():
        if kind not in rows:
            continue
        of_kind = rows[kind]
        known += len(trials)
        usual_epochs = fmean(row["epochs"] for row in of_kind)
        per_epoch = fmean(row["wall_s"] / row["epochs"] for row in of_kind)
        seconds += sum(per_epoch * min(usual_epochs, trial.recipe.epochs) for trial in trials)
        if len(of_kind) < 2:
            bounded = False
        else:
            between = variance(row["wall_s"] for row in of_kind)
            spread += between * (len(trials) ** 2 / len(of_kind) + len(trials))
        parameters = [row["n_params"] for row in of_kind if _is_number(row.get("n_params"))]
        if parameters:
            sized = True
            networks = 2 if trials[0].recipe.has_teacher else 1
            disk += round(4 * fmean(parameters) * networks * len(trials))
    if not known:
        return None
    return Cost(
        hours=seconds / 3600,
        plus_minus=COVERAGE * math.sqrt(spread) / 3600 if bounded else None,
        known=known,
        unknown=len(missing) - known,
        disk_bytes=disk if sized else None,
    )


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
