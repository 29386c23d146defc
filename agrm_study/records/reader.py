"""Reading of the ledger: finished and failed trials, their epochs and predictions.

A loose file ``<trial_id>.parquet`` supersedes what compacted files hold about that trial. A file that cannot be read
is listed in `Ledger.problems` instead of raising an error: its trial counts as not done.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from agrm_study.records.location import Location
from agrm_study.records.migrations import check_version, migrate, missing_columns, version_of
from agrm_study.records.schemas import SCHEMA_VERSION, SCHEMAS, Kind

COMPACTED: Final = "compacted-"
"""Names of compacted files begin with this."""
HELD: Final = b"trial_ids"
"""Parquet metadata of a compacted file: the trials it holds, separated by commas."""

UNREADABLE: Final = (OSError, KeyError, ValueError, pa.ArrowException)
"""Exceptions that Arrow raises for a damaged file."""
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
"""Columns of repeated text, read as dictionaries: a tenth of the memory."""
_PAUSES_S: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before each retry to read a folder whose files are being written and compacted."""


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A fault of a record: its location, its description, and whether the record is used nevertheless."""

    path: str
    reason: str
    used: bool = False


@dataclass(frozen=True, slots=True)
class TrialState:
    """State of one trial in the ledger.

    Attributes:
        status: ``finished`` or ``failed``.
        failure: Class of the failure, ``None`` if finished.
        error: Message of the failure.
        attempt: Number of starts so far.
        wall_s: Seconds of training.
        stop_reason: Why a finished trial ended.
        epochs: Epochs done.
        best_epoch: Best epoch of a finished trial.
    """

    status: str
    failure: str | None
    error: str | None
    attempt: int
    wall_s: float | None
    stop_reason: str | None = None
    epochs: int | None = None
    best_epoch: int | None = None


class Ledger:
    """Reads the records of one results folder.

    Every method reads the folder again, and so returns the newest state of a study that is still writing.

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
        names = ["trial_id", *(field.name for field in fields(TrialState))]
        columns = self._one_row_each(self._table("trials", names)).to_pydict()
        rows = zip(*(columns[name] for name in names), strict=True)
        return {trial_id: TrialState(*rest) for trial_id, *rest in rows}

    def failed(self) -> pd.DataFrame:
        """The `trials` records of the trials whose last attempt failed."""
        trials = self.trials()
        return trials[trials["status"] == "failed"].reset_index(drop=True)

    def trials(self, *, trial_ids: Collection[str] | None = None) -> pd.DataFrame:
        """The `trials` records (of the given trials), one row per trial, sorted by identity."""
        wanted = None if trial_ids is None else frozenset(trial_ids)
        return frame_of(self._one_row_each(self._table("trials", wanted=wanted)), ["trial_id"])

    def _one_row_each(self, trials: pa.Table) -> pa.Table:
        """The `trials` records, one row per trial; a trial with conflicting rows is left out and noted as a problem."""
        ids = trials["trial_id"]
        if pc.count_distinct(ids).as_py() == len(ids):
            return trials
        frame = trials.to_pandas()
        several = frame.groupby("trial_id").size().loc[lambda rows: rows > 1].index
        keep = ~frame.duplicated()
        left = frame[keep & frame["trial_id"].isin(several)].groupby("trial_id").size()
        for trial_id, rows in left.items():
            if rows == 1:
                reason = "has several equal rows and is counted once"
                self._problem(f"records/trials of trial {trial_id}", reason, used=True)
            else:
                self._problem(f"records/trials of trial {trial_id}", f"has {rows} rows that differ and is not counted")
        conflicting = list(left[left > 1].index)
        return trials.filter(pa.array(keep & ~frame["trial_id"].isin(conflicting)))

    def table(self, kind: Kind, trial_id: str) -> pa.Table:
        """One kind of record of one trial, as it was written."""
        return self._table(kind, wanted=frozenset([trial_id]))

    def table_of(self, kind: Kind, trial_ids: Collection[str] | None = None) -> pa.Table:
        """Whole rows of one kind as an Arrow table; of the `trials` record, one row per trial."""
        table = self._table(kind, wanted=None if trial_ids is None else frozenset(trial_ids))
        return self._one_row_each(table) if kind == "trials" else table

    def epochs(self, *, trial_ids: Sequence[str] | None = None) -> pd.DataFrame:
        """The `epochs` records of finished trials (or of the given trials), in order."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        return frame_of(self._table("epochs", wanted=wanted), ["trial_id", "epoch", "split", "network"])

    def epoch_table(self, columns: Sequence[str] | None, *, trial_ids: Sequence[str] | None = None) -> pa.Table:
        """Columns of the `epochs` records (all for None) as an unsorted Arrow table, for thousands of trials."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        return self._table("epochs", columns, wanted=wanted)

    def predictions(
        self, split: str | None = None, network: str | None = None, *, trial_ids: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The `predictions` records of finished trials (or of the given trials), of one part and network if given.

        ``logits`` is a float32 array of shape (K,) in each row.
        """
        table = self.prediction_table(split, network, trial_ids=trial_ids)
        table = pa.table([table[f.name].cast(f.type) for f in SCHEMAS["predictions"]], names=table.column_names)
        return frame_of(table, ["trial_id", "split", "clip_id", "network"])

    def prediction_table(
        self,
        split: str | None = None,
        network: str | None = None,
        *,
        trial_ids: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Like `predictions`, but an unsorted Arrow table with dictionary-encoded text, for many trials."""
        wanted = self.finished_ids() if trial_ids is None else frozenset(trial_ids)
        where = None
        if trial_ids is not None and 0 < len(wanted) <= 500:
            names = sorted(wanted)  # the bounds allow whole row groups to be skipped
            where = ds.field("trial_id").isin(names)
            where &= (ds.field("trial_id") >= names[0]) & (ds.field("trial_id") <= names[-1])
        for column, value in (("split", split), ("network", network)):
            if value is not None:
                condition = ds.field(column) == value
                where = condition if where is None else where & condition
        schema = pa.schema([f.with_type(_TEXT) if f.type == pa.string() else f for f in SCHEMAS["predictions"]])
        return self._table("predictions", columns, wanted=wanted, where=where, schema=schema)

    def subjects(self) -> pd.DataFrame:
        """The `subjects` records of every split, in order."""
        return frame_of(self._table("subjects"), ["split_fingerprint", "split", "subject_id"])

    def bytes_on_disk(self) -> int:
        """Size of the records of trials."""
        kinds: tuple[Kind, ...] = ("trials", "epochs", "predictions")
        stamps = [file.stamp() for kind in kinds for file in self._files(kind)]
        return sum(stamp[2] for stamp in stamps if stamp is not None)

    def loose_files(self, kind: Kind) -> list[Location]:
        """Files of one trial each that have not been compacted."""
        return [f for f in self._files(kind) if not f.name.startswith(COMPACTED)]

    def recorded(self, kind: Kind) -> set[str]:
        """Trials that have a file of a kind, from file names and the metadata of compacted files."""
        files = self._files(kind)
        found = {f.name.removesuffix(".parquet") for f in files if not f.name.startswith(COMPACTED)}
        for file in files:
            if file.name.startswith(COMPACTED):
                found |= self._held(kind, file, "trial_id")
        return found

    def _files(self, kind: Kind) -> list[Location]:
        """The files of one kind; other entries with such a name are noted as problems."""
        files, others = (self.records / kind).files(".parquet")
        for path, what in others.items():
            self._problem(path, what)
        return files

    def _table(
        self,
        kind: Kind,
        names: Sequence[str] | None = None,
        *,
        wanted: frozenset[str] | None = None,
        where: ds.Expression | None = None,
        schema: pa.Schema | None = None,
    ) -> pa.Table:
        """One kind as a table: loose files of the wanted trials, then rows found only in compacted files."""
        schema = SCHEMAS[kind] if schema is None else schema
        columns = list(names or schema.names)
        for pause in _PAUSES_S:  # other processes may remove and replace files between listing and reading
            time.sleep(pause)
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
        files = self._files(kind)
        loose = {f.name.removesuffix(".parquet"): f for f in files if not f.name.startswith(COMPACTED)}
        taken = set(loose)  # a loose file holds its whole trial and always supersedes compacted rows
        if wanted is not None:
            loose = {trial_id: f for trial_id, f in loose.items() if trial_id in wanted}
        alone: list[Location] = []
        shared: list[tuple[Location, set[str]]] = []
        for file in reversed([f for f in files if f.name.startswith(COMPACTED)]):
            # Newest first, as two files may hold the same trial after an interrupted compaction.
            names = self._held(kind, file, key)
            if wanted is None or names & wanted:
                if names & taken:
                    shared.append((file, names - taken))
                else:
                    alone.append(file)
            taken |= names
        parts = [self._scan(kind, list(loose.values()), schema, columns, where)]
        with_key = [*columns, key] if key not in columns else columns
        if alone:
            table = self._scan(kind, alone, schema, with_key, where)
            parts.append(_only(table, key, wanted).select(columns))
        for file, names in shared:
            table = self._scan(kind, [file], schema, with_key, where)
            parts.append(_only(table, key, names if wanted is None else names & wanted).select(columns))
        return pa.concat_tables(parts)

    def _held(self, kind: Kind, file: Location, key: str) -> set[str]:
        """The trials that a compacted file holds; none if it cannot be read."""
        try:
            with self.records.filesystem.open_input_file(file.path) as stream:
                parquet = pq.ParquetFile(stream)
                named = (parquet.schema_arrow.metadata or {}).get(HELD)
                if named is not None:
                    return set(named.decode().split(","))
                return set(parquet.read([key])[key].unique().to_pylist())
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            self._problem(file.path, error)
            return set()

    def _scan(
        self, kind: Kind, files: list[Location], schema: pa.Schema, columns: list[str], where: ds.Expression | None
    ) -> pa.Table:
        asked = pa.schema([schema.field(name) for name in columns])
        dataset = self._dataset(files, schema)
        current, parts = [], []
        for fragment in dataset.get_fragments():
            try:
                physical = fragment.physical_schema
                names = set(physical.names)
            except FileNotFoundError:
                raise
            except UNREADABLE as error:
                self._problem(fragment.path, error)
                continue
            version = version_of(physical)
            if version != SCHEMA_VERSION:
                check_version(version, fragment.path)
                parts.append(self._alone(kind, fragment.path, version, schema, where).select(columns))
            elif missing := missing_columns(physical, kind):
                self._problem(fragment.path, f"column {missing[0]} is missing")
            else:
                if unknown := sorted(names - set(SCHEMAS[kind].names)):
                    reason = f"column {unknown[0]} is unknown: of a newer agrm-study, or damaged"
                    self._problem(fragment.path, reason, used=True)
                current.append(fragment)
        if current:
            dataset = ds.FileSystemDataset(current, schema, dataset.format, self.records.filesystem)
            try:
                parts.append(_without_nulls(dataset.to_table(columns=columns, filter=where), asked))
            except FileNotFoundError:
                raise
            except UNREADABLE:  # one file at a time: a damaged one is noted as a problem, a replaced one is read again
                alone = (self._alone(kind, f.path, SCHEMA_VERSION, schema, where) for f in current)
                parts += [table.select(columns) for table in alone]
        return pa.concat_tables([p.cast(asked) for p in parts]) if parts else asked.empty_table()

    def _alone(self, kind: Kind, path: str, version: int, schema: pa.Schema, where: ds.Expression | None) -> pa.Table:
        """The rows of one file in the current schema; none, and a noted problem, if they violate it."""
        try:
            with self.records.filesystem.open_input_file(path) as stream:
                table = migrate(pq.read_table(stream, page_checksum_verification=True), kind, version)
            _without_nulls(table, SCHEMAS[kind])
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            self._problem(path, error)
            table = SCHEMAS[kind].empty_table()
        return (table if where is None else table.filter(where)).cast(schema)

    def _dataset(self, files: list[Location], schema: pa.Schema) -> ds.FileSystemDataset:
        text = [f.name for f in schema if pa.types.is_dictionary(f.type)]
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(dictionary_columns=text, default_fragment_scan_options=options)
        return ds.dataset([f.path for f in files], schema=schema, format=form, filesystem=self.records.filesystem)

    def _problem(self, path: str, error: Exception | str, *, used: bool = False) -> None:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        self._problems[path] = RecordProblem(path, reason, used)


def _without_nulls(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table.

    Raises:
        ValueError: If a required column contains a null.
    """
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"column {field.name} must have a value in every row")
    return table


def _only(table: pa.Table, key: str, names: Collection[str] | None) -> pa.Table:
    """The rows of these trials; all of them for None."""
    if names is None:
        return table
    column = table[key]
    if not pa.types.is_dictionary(column.type):
        return table.filter(pc.is_in(column, pa.array(sorted(names), type=pa.string())))
    masks = []
    for chunk in column.chunks:  # asks once for each trial instead of once for each row
        wanted = pc.is_in(chunk.dictionary, pa.array(sorted(names), type=pa.string()))
        masks.append(wanted.take(chunk.indices))
    if all(pc.all(mask).as_py() is not False for mask in masks):
        return table
    return table.filter(pa.chunked_array(masks, type=pa.bool_()))


def frame_of(table: pa.Table, order: list[str]) -> pd.DataFrame:
    """Rows as a data frame, sorted by these columns."""
    frame: pd.DataFrame = table.to_pandas()
    return frame.sort_values(order, kind="stable", ignore_index=True)
