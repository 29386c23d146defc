"""Conversion of records from older schema versions, in memory and version by version; files are not modified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import pyarrow as pa

from agrm_study.records.schemas import SCHEMA_VERSION, SCHEMAS, Kind
from agrm_study.study.errors import InputError

Step = Callable[[pa.Table], pa.Table]
"""Function that converts a table of one version to the next version."""

MIGRATIONS: Final[dict[int, Mapping[Kind, Step]]] = {}
"""Steps by source version; a kind that did not change in a version needs no step. Empty as long as version 1 is the
only version. When increasing `SCHEMA_VERSION`, add the step from the previous version and a test with a file of that
version."""


def version_of(schema: pa.Schema) -> int:
    """The schema version in a file's metadata; 1 if it is absent."""
    try:
        return int((schema.metadata or {}).get(b"schema_version", b"1"))
    except ValueError:
        return 1


def check_version(version: int, where: str) -> None:
    """Rejects files of unsupported schema versions.

    Raises:
        InputError: If the records were written by a newer version of agrm-study, or there is no migration from their
            version.
    """
    if version > SCHEMA_VERSION:
        raise InputError(
            f"records must have schema version {SCHEMA_VERSION} or older",
            where=where,
            given=version,
            hint="The records were written by a newer agrm-study: use that version.",
        )
    if any(v not in MIGRATIONS for v in range(version, SCHEMA_VERSION)):
        known = ", ".join(map(str, sorted({*MIGRATIONS, SCHEMA_VERSION})))
        raise InputError("records of this schema version cannot be read", where=where, given=version, allowed=known)


def migrate(table: pa.Table, kind: Kind, version: int) -> pa.Table:
    """The rows in the current schema; columns added since that version are null.

    Raises:
        InputError: See `check_version`.
        pyarrow.ArrowInvalid: If a value does not fit its column, or a required column is missing.
    """
    check_version(version, kind)
    for v in range(version, SCHEMA_VERSION):
        step = MIGRATIONS[v].get(kind)
        table = table if step is None else step(table)
    schema = SCHEMAS[kind]
    missing = missing_columns(table.schema, kind)
    if missing:
        raise pa.ArrowInvalid(f"column {missing[0]} is missing")
    columns = [table[f.name] if f.name in table.column_names else pa.nulls(table.num_rows, f.type) for f in schema]
    return pa.table(columns, names=schema.names).cast(schema)


def missing_columns(schema: pa.Schema, kind: Kind) -> tuple[str, ...]:
    """Required columns that a file lacks."""
    names = set(schema.names)
    return tuple(f.name for f in SCHEMAS[kind] if not f.nullable and f.name not in names)
