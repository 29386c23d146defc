"""Validation scores of a trial: the metric of the evaluated network for each epoch.

Only `validation_rows` defines which rows count; it is used for records in the ledger and for trials in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from agrm_study.records.reader import Ledger, TrialState

Row = Mapping[Any, Any]
"""A row of the `epochs` record."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Validation scores of one trial.

    Attributes:
        values: The metrics at the best epoch; NaN for an undefined metric.
        curve: The first metric by epoch, for epochs at which it is defined.
    """

    values: tuple[float, ...]
    curve: Mapping[int, float]


def column(metric: str) -> str:
    """The column of the `epochs` records that contains an objective (``val/macro_f1`` → ``macro_f1``)."""
    return metric.removeprefix("val/")


def validation_rows(rows: Iterable[Row], network: str) -> dict[int, Row]:
    """The validation row of each epoch: the row of the given network, or of the student before the teacher exists.

    Args:
        rows: Rows of one trial, in any order.
        network: The network by which the trial is evaluated (`study.reported`).
    """
    found: dict[int, Row] = {}
    for row in rows:
        if row["split"] == "val" and (row["network"] == network or row["epoch"] not in found):
            found[row["epoch"]] = row
    return found


def validation_curve(rows: Iterable[Row], network: str, metric: str) -> dict[int, float]:
    """A validation metric by epoch, for epochs at which it is finite."""
    name = column(metric)
    values = {epoch: row.get(name) for epoch, row in sorted(validation_rows(rows, network).items())}
    return {epoch: float(value) for epoch, value in values.items() if value is not None and math.isfinite(value)}


def read_scores(
    ledger: Ledger, best_epochs: Mapping[str, int], metrics: Sequence[str], network_of: Callable[[str], str]
) -> dict[str, Scores]:
    """The scores of finished trials; a trial without validation rows is left out.

    Args:
        ledger: The records.
        best_epochs: Best epoch by trial.
        metrics: Columns of the `epochs` records, with or without ``val/``.
        network_of: Returns the network by which a trial is evaluated.
    """
    if not best_epochs:
        return {}
    names = ["trial_id", "epoch", "split", "network", *dict.fromkeys(map(column, metrics))]
    table = ledger.epoch_table(names, trial_ids=list(best_epochs))
    rows: dict[str, list[Row]] = {}
    for row in table.filter(pc.equal(table["split"], "val")).to_pylist():
        rows.setdefault(row["trial_id"], []).append(row)
    scores = {}
    for trial_id in sorted(rows):
        curves = [validation_curve(rows[trial_id], network_of(trial_id), metric) for metric in metrics]
        values = tuple(curve.get(best_epochs[trial_id], math.nan) for curve in curves)
        scores[trial_id] = Scores(values, curves[0])
    return scores


def read_metric(
    ledger: Ledger, states: Mapping[str, TrialState], metric: str, network_of: Callable[[str], str]
) -> dict[str, float]:
    """A validation metric at the best epoch, by trial id, for the finished trials for which it is defined.

    Args:
        ledger: The records.
        states: States of the trials, from the ledger.
        metric: A column of the `epochs` records, with or without ``val/``.
        network_of: Returns the network by which a trial is evaluated.
    """
    best_epochs = {trial_id: state.best_epoch or 0 for trial_id, state in states.items() if state.status == "finished"}
    scores = read_scores(ledger, best_epochs, (metric,), network_of)
    return {trial_id: its.values[0] for trial_id, its in scores.items() if not math.isnan(its.values[0])}


def best_so_far(curve: Mapping[int, float], *, maximize: bool) -> dict[int, float]:
    """The best value up to each epoch."""
    found: dict[int, float] = {}
    best: float | None = None
    for epoch in sorted(curve):
        value = curve[epoch]
        best = value if best is None else max(best, value) if maximize else min(best, value)
        found[epoch] = best
    return found
