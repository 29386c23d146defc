"""Record files of one results folder, read as Arrow tables.

A loose file ``<trial_id>.parquet`` supersedes the rows of that trial in compacted files. A file that cannot be read is
reported as a problem instead of raising an error.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from agrm_study.records.location import Location
from agrm_study.records.migrations import check_version, migrate, missing_columns, version_of
from agrm_study.records.schemas import SCHEMA_VERSION, SCHEMAS, Kind

COMPACTED: Final = "compacted-"
"""Prefix of the names of compacted files."""
HELD: Final = b"trial_ids"
"""Key of the comma-separated list of trials in the Parquet metadata of a compacted file."""

UNREADABLE: Final = (OSError, KeyError, ValueError, pa.ArrowException)
"""Exceptions raised when a damaged file is read."""
_PAUSES_S: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before each attempt to read a folder whose files are being written and compacted."""


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A problem with a record: its location, its description, and whether the record is used nevertheless."""

    path: str
    reason: str
    used: bool = False


class RecordFiles:
    """The record files of one results folder.

    Args:
        records: Folder with one subfolder of Parquet files per kind of record.

    Attributes:
        problems: Problems found so far, by path.
    """

    def __init__(self, records: Location) -> None:
        self.records = records
        self.problems: dict[str, RecordProblem] = {}
        self._held_by: dict[str, set[str]] = {}  # compacted file (immutable) → trials

    def files(self, kind: Kind) -> list[Location]:
        """The files of one kind; other entries with a matching name are reported as problems."""
        files, others = (self.records / kind).files(".parquet")
        for path, what in others.items():
            self.note(path, what)
        return files

    def table(
        self,
        kind: Kind,
        names: Sequence[str] | None = None,
        *,
        wanted: frozenset[str] | None = None,
        where: ds.Expression | None = None,
        schema: pa.Schema | None = None,
    ) -> pa.Table:
        """Records of one kind as a table: loose files of the given trials, then rows found only in compacted files."""
        schema = SCHEMAS[kind] if schema is None else schema
        columns = list(names or schema.names)
        for pause in _PAUSES_S:  # files may be removed or replaced between listing and reading
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
        files = self.files(kind)
        loose = {f.name.removesuffix(".parquet"): f for f in files if not f.name.startswith(COMPACTED)}
        taken = set(loose)  # a loose file contains all rows of its trial and supersedes compacted rows
        if wanted is not None:
            loose = {trial_id: f for trial_id, f in loose.items() if trial_id in wanted}
        alone: list[Location] = []
        shared: list[tuple[Location, set[str]]] = []
        for file in reversed([f for f in files if f.name.startswith(COMPACTED)]):
            # Newest first, since two files may contain the same trial after an interrupted compaction.
            names = self.held(kind, file, key)
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

    def held(self, kind: Kind, file: Location, key: str) -> set[str]:
        """The trials in a compacted file; empty if the file cannot be read."""
        if (known := self._held_by.get(file.path)) is not None:
            return known
        try:
            with self.records.filesystem.open_input_file(file.path) as stream:
                parquet = pq.ParquetFile(stream)
                named = (parquet.schema_arrow.metadata or {}).get(HELD)
                if named is not None:
                    return self._held_by.setdefault(file.path, set(named.decode().split(",")))
                return set(parquet.read([key])[key].unique().to_pylist())
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            self.note(file.path, error)
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
                self.note(fragment.path, error)
                continue
            version = version_of(physical)
            if version != SCHEMA_VERSION:
                check_version(version, fragment.path)
                parts.append(self._alone(kind, fragment.path, version, schema, where).select(columns))
            elif missing := missing_columns(physical, kind):
                self.note(fragment.path, f"column {missing[0]} is missing")
            else:
                if unknown := sorted(names - set(SCHEMAS[kind].names)):
                    reason = f"column {unknown[0]} is unknown: the file is damaged or was written by a newer agrm-study"
                    self.note(fragment.path, reason, used=True)
                current.append(fragment)
        if current:
            dataset = ds.FileSystemDataset(current, schema, dataset.format, self.records.filesystem)
            try:
                parts.append(_without_nulls(dataset.to_table(columns=columns, filter=where), asked))
            except FileNotFoundError:
                raise
            except UNREADABLE:  # one by one: a damaged file is reported as a problem, a replaced file is read again
                alone = (self._alone(kind, f.path, SCHEMA_VERSION, schema, where) for f in current)
                parts += [table.select(columns) for table in alone]
        return pa.concat_tables([p.cast(asked) for p in parts]) if parts else asked.empty_table()

    def _alone(self, kind: Kind, path: str, version: int, schema: pa.Schema, where: ds.Expression | None) -> pa.Table:
        """The rows of one file in the current schema; if they violate it, reports a problem and returns no rows."""
        try:
            with self.records.filesystem.open_input_file(path) as stream:
                table = migrate(pq.read_table(stream, page_checksum_verification=True), kind, version)
            _without_nulls(table, SCHEMAS[kind])
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            self.note(path, error)
            table = SCHEMAS[kind].empty_table()
        return (table if where is None else table.filter(where)).cast(schema)

    def _dataset(self, files: list[Location], schema: pa.Schema) -> ds.FileSystemDataset:
        text = [f.name for f in schema if pa.types.is_dictionary(f.type)]
        options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        form = ds.ParquetFileFormat(dictionary_columns=text, default_fragment_scan_options=options)
        return ds.dataset([f.path for f in files], schema=schema, format=form, filesystem=self.records.filesystem)

    def note(self, path: str, error: Exception | str, *, used: bool = False) -> None:
        """Reports a problem with a file; set `used` if its rows are used nevertheless."""
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        self.problems[path] = RecordProblem(path, reason, used)


def _without_nulls(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Returns the table unchanged.

    Raises:
        ValueError: If a required column contains a null.
    """
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"column {field.name} must have a value in every row")
    return table


def _only(table: pa.Table, key: str, names: Collection[str] | None) -> pa.Table:
    """The rows of the given trials; all rows if `names` is None."""
    if names is None:
        return table
    column = table[key]
    if not pa.types.is_dictionary(column.type):
        return table.filter(pc.is_in(column, pa.array(sorted(names), type=pa.string())))
    masks = []
    for chunk in column.chunks:  # looks up each trial once instead of each row
        wanted = pc.is_in(chunk.dictionary, pa.array(sorted(names), type=pa.string()))
        masks.append(wanted.take(chunk.indices))
    if all(pc.all(mask).as_py() is not False for mask in masks):
        return table
    return table.filter(pa.chunked_array(masks, type=pa.bool_()))
