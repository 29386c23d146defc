"""What has been done so far? The ledger answers from the records alone.

A loose file ``<trial_id>.parquet`` supersedes what compacted files hold about that trial. A file that cannot be read
becomes a problem in `Ledger.problems`, not a crash: its trial counts as not done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from agrm_study.records.location import Location
from agrm_study.records.schemas import SCHEMA_VERSION, SCHEMAS, Kind
from agrm_study.study.errors import InputError

COMPACTED: Final = "compacted-"
"""Names of compacted files begin with this."""

_FILE = "__filename"


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A record that could not be read."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class TrialState:
    """What the ledger knows of one trial.

    Attributes:
        status: ``finished`` or ``failed``.
        failure: Class of the failure, ``None`` when finished.
        error: Its message.
        attempt: Number of starts so far.
        wall_s: Seconds of training.
    """

    status: str
    failure: str | None
    error: str | None
    attempt: int
    wall_s: float | None


class Ledger:
    """Reads the records of one results folder.

    Every method reads the folder anew: a study that is still writing shows its newest state.

    Args:
        root: Results folder; a local path or a URI.
    """

    def __init__(self, root: str | Path | Location) -> None:
        self.records = Location.of(root) / "records"
        self._problems: dict[str, RecordProblem] = {}

    @property
    def problems(self) -> tuple[RecordProblem, ...]:
        """Files that could not be read so far, by path."""
        return tuple(self._problems[path] for path in sorted(self._problems))

    def finished_ids(self) -> frozenset[str]:
        """Identities of the trials that are done."""
        return frozenset(trial_id for trial_id, state in self.states().items() if state.status == "finished")

    def states(self) -> dict[str, TrialState]:
        """Status, failure, attempts and time of each recorded trial, by its identity."""
        names = ["trial_id", "status", "failure", "error", "attempt", "wall_s"]
        columns = self._table("trials", names).to_pydict()
        rows = zip(*(columns[name] for name in names), strict=True)
        return {trial_id: TrialState(*rest) for trial_id, *rest in rows}

    def failed(self) -> pd.DataFrame:
        """The `trials` records of the trials whose last word is a failure."""
        trials = self.trials()
        return trials[trials["status"] == "failed"].reset_index(drop=True)

    def trials(self) -> pd.DataFrame:
        """The `trials` records, one row a trial, in the order of their identities."""
        return _frame(self._table("trials"), ["trial_id"])

    def epochs(self, *, trial_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The `epochs` records of finished trials (or of the trials named), in order."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        return _frame(self._table("epochs", wanted=wanted), ["trial_id", "epoch", "split", "network"])

    def epoch_table(self, columns: Sequence[str], *, trial_ids: Sequence[str] | None = None) -> pa.Table:
        """Columns of the `epochs` records as an Arrow table in no particular order: for thousands of trials."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        return self._table("epochs", columns, wanted=wanted)

    def predictions(
        self, split: str | None = None, network: str | None = None, *, trial_ids: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The `predictions` records of finished trials (or of the trials named), of one part and network if given.

        ``logits`` is a float32 array of shape (K,) in each row.
        """
        table = self.prediction_table(split, network, trial_ids=trial_ids)
        return _frame(table, ["trial_id", "split", "clip_id", "network"])

    def prediction_table(
        self, split: str | None = None, network: str | None = None, *, trial_ids: Sequence[str] | None = None
    ) -> pa.Table:
        """As `predictions`, but an Arrow table in no particular order: for thousands of trials."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        where = ds.field("trial_id").isin(sorted(wanted)) if trial_ids is not None and len(wanted) <= 500 else None
        for column, value in (("split", split), ("network", network)):
            if value is not None:
                condition = ds.field(column) == value
                where = condition if where is None else where & condition
        return self._table("predictions", wanted=wanted, where=where)

    def subjects(self) -> pd.DataFrame:
        """The `subjects` records of every split, in order."""
        return _frame(self._table("subjects"), ["split_fingerprint", "split", "subject_id"])

    def loose_files(self, kind: Kind) -> list[Location]:
        """Files of one trial each that have not been compacted."""
        return [f for f in (self.records / kind).children(".parquet") if not f.name.startswith(COMPACTED)]

    def _table(
        self,
        kind: Kind,
        names: Sequence[str] | None = None,
        *,
        wanted: frozenset[str] | None = None,
        where: ds.Expression | None = None,
    ) -> pa.Table:
        """One kind as a table: loose files of the wanted trials, then what only compacted files hold."""
        schema = SCHEMAS[kind]
        columns = list(names or schema.names)
        for _ in range(3):  # a compaction at the same time may remove files between listing and reading
            try:
                return self._read(kind, schema, columns, wanted, where)
            except FileNotFoundError:
                continue
        return self._read(kind, schema, columns, wanted, where)

    def _read(
        self,
        kind: Kind,
        schema: pa.Schema,
        columns: list[str],
        wanted: frozenset[str] | None,
        where: ds.Expression | None,
    ) -> pa.Table:
        key = "split_fingerprint" if kind == "subjects" else "trial_id"
        files = (self.records / kind).children(".parquet")
        loose = {f.name.removesuffix(".parquet"): f for f in files if not f.name.startswith(COMPACTED)}
        compacted = [f for f in files if f.name.startswith(COMPACTED)]
        if wanted is not None:
            loose = {trial_id: f for trial_id, f in loose.items() if trial_id in wanted}
        # A loose file holds its whole trial, so `where` filters rows of it; it supersedes compacted rows in any case.
        parts = [self._scan(list(loose.values()), schema, columns, where)]
        if compacted:
            with_key = [*columns, key] if key not in columns else columns
            table = self._scan(compacted, schema, [*with_key, _FILE], where)
            keep = pc.invert(pc.is_in(table[key], pa.array(list(loose), type=pa.string())))
            if wanted is not None:
                keep = pc.and_(keep, pc.is_in(table[key], pa.array(sorted(wanted), type=pa.string())))
            parts.append(_newest(table.filter(keep), key).select(columns))
        return pa.concat_tables(parts)

    def _scan(
        self, files: list[Location], schema: pa.Schema, columns: list[str], where: ds.Expression | None
    ) -> pa.Table:
        if not files:
            return pa.schema([schema.field(name) for name in columns]).empty_table()
        self._check_version(files[0])
        try:
            return self._dataset(files, schema).to_table(columns=columns, filter=where)
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException):
            good = [f for f in files if self._readable(f)]
            if len(good) == len(files):
                raise
            return self._scan(good, schema, columns, where)

    def _dataset(self, files: list[Location], schema: pa.Schema) -> ds.Dataset:
        return ds.dataset([f.path for f in files], schema=schema, format="parquet", filesystem=self.records.filesystem)

    def _check_version(self, file: Location) -> None:
        """One file speaks for its folder: records of a newer program are refused, not misread."""
        try:
            with self.records.filesystem.open_input_file(file.path) as stream:
                metadata = pq.read_schema(stream).metadata or {}
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException):
            return  # unreadable: the scan reports it
        version = int(metadata.get(b"schema_version", b"1"))
        if version > SCHEMA_VERSION:
            raise InputError(
                f"records must have schema version {SCHEMA_VERSION} or older",
                where=file.path,
                given=version,
                hint="They were written by a newer agrm-study: use that one.",
            )

    def _readable(self, file: Location) -> bool:
        try:
            with self.records.filesystem.open_input_file(file.path) as stream:
                pq.read_table(stream)
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._problems[file.path] = RecordProblem(file.path, reason)
            return False
        return True


def _newest(table: pa.Table, key: str) -> pa.Table:
    """Rows of each trial from one compacted file only, should two hold it (a compaction that was cut short)."""
    owner = table.select([key, _FILE]).group_by(key).aggregate([(_FILE, "max")])
    if owner.num_rows == 0:
        return table
    index = pc.index_in(table[key], owner[key])
    return table.filter(pc.equal(table[_FILE], pc.take(owner[f"{_FILE}_max"], index)))


def _frame(table: pa.Table, order: list[str]) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame.sort_values(order, kind="stable", ignore_index=True)
