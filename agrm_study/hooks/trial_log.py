"""Content exported to trackers: each trial's record, curves and final metrics, read from the records."""

from __future__ import annotations

import datetime
import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from agrm_study.plan.plan import parse_cells
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import TRIALS
from agrm_study.records.study_file import read_study
from agrm_study.records.validation_scores import validation_rows
from agrm_study.statistics.part_scores import PartScores
from agrm_study.study.reported import reported_in_record
from agrm_study.study.study import Study

INTEGERS: Final = tuple(each.name for each in TRIALS if pa.types.is_integer(each.type))
"""Integer columns of the `trials` record."""
PLAN: Final = "plan.json"
CHUNK: Final = 200
"""Maximum number of trials whose epochs and predictions are in memory at once."""
HPARAMS: Final = ("phase", "arm", "task", "seed", "backbone", "pooling", "method", "tau", "alpha", "ramp_epochs")
"""Columns of the `trials` record exported as hyperparameters, in addition to the factors."""
CURVES: Final = (
    "loss", "loss_supervised", "loss_consistency", "loss_pseudo", "ramp_weight", "lr", "threshold", "pseudo_coverage",
    "pseudo_confidence", "pseudo_accuracy", "accuracy", "balanced_accuracy", "macro_f1",
)  # fmt: skip
"""Columns of the `epochs` record exported as curves."""
VALIDATION: Final = ("accuracy", "balanced_accuracy", "macro_f1", "loss")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLog:
    """Exported content of one trial.

    Attributes:
        record: The `trials` record without null columns.
        factors: The settings that vary, by dotted name.
        curves: Values by epoch and name (``val/teacher/macro_f1``); missing values are omitted.
        final: Metrics of the reported network at the best epoch: ``val/…`` and, in the final phase, ``test/…``.
        objective_curve: Validation metrics of the network that selects epochs: epoch → metric → value.
        stamp: Hash of the record.
    """

    record: Mapping[str, Any]
    factors: Mapping[str, Any]
    curves: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    final: Mapping[str, float] = field(default_factory=dict)
    objective_curve: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    stamp: str = ""

    @property
    def trial_id(self) -> str:
        """Id of the trial."""
        return str(self.record["trial_id"])

    @property
    def title(self) -> str:
        """Display name: arm, task, seed and fold."""
        fold = self.record.get("fold")
        of_fold = "" if fold is None else f", split seed {self.record['split_seed']}, fold {fold}"
        return f"{self.record['arm']}, {self.record['task']}, seed {self.record['seed']}{of_fold}"

    @property
    def failed(self) -> bool:
        """Whether the trial failed."""
        return bool(self.record["status"] == "failed")

    @property
    def started_at(self) -> datetime.datetime:
        """Start time; 1970-01-01 if the record has none."""
        started: datetime.datetime = self.record.get("started_at", datetime.datetime.fromtimestamp(0, datetime.UTC))
        return started

    def time_of(self, epoch: int) -> float:
        """Unix time at the end of an epoch, in seconds; assumes epochs of equal length, as no times are recorded."""
        share = epoch / max(1, int(self.record.get("epochs", epoch) or epoch))
        return self.started_at.timestamp() + float(self.record.get("wall_s", 0.0)) * min(1.0, share)

    @property
    def hparams(self) -> dict[str, Any]:
        """Hyperparameters as plain values, with lists as JSON text."""
        shown = {name: self.record[name] for name in HPARAMS if name in self.record}
        plain = bool | int | float | str
        return shown | {n: v if isinstance(v, plain) else json.dumps(v) for n, v in self.factors.items()}


class StudyLog:
    """The trials of a results folder.

    Args:
        results: Results folder; a local path or a URI.

    Attributes:
        location: Location of the results.
        study: Study as it was last run.
        ledger: Records of the study.

    Raises:
        InputError: If the folder contains no results.
    """

    def __init__(self, results: str | Path) -> None:
        self.location = Location.of(results)
        self.study: Study = read_study(self.location)
        self.ledger = Ledger(self.location)

    def records(self) -> dict[str, dict[str, Any]]:
        """The `trials` records by id, without null columns, in order of start time.

        ``arm`` contains the names of the trial's arms in the current plan, joined by " = ", whereas a stored record
        keeps the name of its arm at the time of the run.
        """
        rows = self.ledger.trials().sort_values(["started_at", "trial_id"], kind="stable", na_position="last")
        records = {str(row["trial_id"]): _plain(row) for row in rows.to_dict("records")}
        names = self._names()
        return {t: record | ({"arm": " = ".join(names[t])} if t in names else {}) for t, record in records.items()}

    def _names(self) -> dict[str, list[str]]:
        """Names of the arms of each planned trial; empty if there is no plan."""
        plan = (self.location / PLAN).read()
        names: dict[str, list[str]] = {}
        for cell in () if plan is None else parse_cells(plan, f"{self.location.address}/{PLAN}"):
            names.setdefault(cell.trial_id, []).append(cell.arm)
        return names

    def logs(self, records: Mapping[str, dict[str, Any]], wanted: Collection[str]) -> Iterator[TrialLog]:
        """Yield the content of the requested trials in the order of the records, loading `CHUNK` trials at a time."""
        ids = [trial_id for trial_id in records if trial_id in wanted]
        for first in range(0, len(ids), CHUNK):
            chunk = ids[first : first + CHUNK]
            epochs = dict(iter(self.ledger.epochs(trial_ids=chunk).groupby("trial_id")))
            tested = dict(iter(self.ledger.predictions("test", trial_ids=chunk).groupby("trial_id")))
            for trial_id in chunk:
                yield self._log(records[trial_id], epochs.get(trial_id), tested.get(trial_id))

    def _log(self, record: dict[str, Any], epochs: pd.DataFrame | None, tested: pd.DataFrame | None) -> TrialLog:
        factors: dict[str, Any] = json.loads(record["params"])
        network = reported_in_record(record.get("method"), factors, self.study.base.evaluate)
        rows = [] if epochs is None else cast("list[dict[str, Any]]", epochs.to_dict("records"))
        judged = {
            int(epoch): {name: float(row[name]) for name in CURVES if _finite(row[name])}
            for epoch, row in sorted(validation_rows(rows, network).items())
        }
        curves: dict[int, dict[str, float]] = {}
        for row in rows:
            values = {name: float(row[name]) for name in CURVES if _finite(row[name])}
            at = curves.setdefault(int(row["epoch"]), {})
            at |= {f"{row['split']}/{row['network']}/{name}": value for name, value in values.items()}
            counts = row["pseudo_class_counts"]
            if isinstance(counts, Sequence | np.ndarray):
                at |= {
                    f"{row['split']}/{row['network']}/pseudo_class_counts/{k}": float(n) for k, n in enumerate(counts)
                }
        final = {f"val/{n}": v for n, v in judged.get(int(record.get("best_epoch", 0)), {}).items() if n in VALIDATION}
        if tested is not None:
            scores = PartScores.of_predictions(tested, network).metrics
            final |= {f"test/{name}": value for name, value in scores.items() if math.isfinite(value)}
        return TrialLog(
            record=record,
            factors=factors,
            curves=dict(sorted(curves.items())),
            final=final,
            objective_curve=judged,
            stamp=stamp(record),
        )


def stamp(record: Mapping[str, Any]) -> str:
    """Hash of a `trials` record, which identifies its version."""
    content = json.dumps({name: str(value) for name, value in sorted(record.items())})
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A record without null columns, with timestamps as `datetime`.

    Integers are preserved: pandas converts a column to floats if any record in the table has no value, and a stamp must
    not depend on other records.
    """
    found = {str(name): value for name, value in row.items() if value is not None and not _null(value)}
    found |= {name: int(found[name]) for name in INTEGERS if name in found}
    return {n: v.to_pydatetime() if isinstance(v, pd.Timestamp) else v for n, v in found.items()}


def _null(value: Any) -> bool:
    return value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _finite(value: Any) -> bool:
    return value is not None and math.isfinite(float(value))
