"""Merging of many small record files into a few large ones, safe while a study is still writing.

Only finished trials are merged, since their records no longer change. If a record changes nevertheless (its file
differs from the merged version), the file stays loose and supersedes the merged rows. The merged file is written first,
and the files it replaces are removed afterwards; a crash in between leaves duplicate rows, which the reader detects.
Files of a different schema version are not modified.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from agrm_study.records.files import COMPACTED, HELD, UNREADABLE
from agrm_study.records.location import Location
from agrm_study.records.migrations import migrate, version_of
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import SCHEMA_VERSION, SCHEMAS, Kind, with_version

_KINDS: Final[tuple[Kind, ...]] = ("predictions", "epochs", "trials")
_ORDER: Final[dict[Kind, tuple[str, ...]]] = {
    "predictions": ("split", "network", "trial_id"),
    "epochs": ("trial_id", "epoch"),
    "trials": ("trial_id",),
}
"""Sort keys: rows that are read together are adjacent, so readers can skip row groups of other parts and networks."""
AT_ONCE: Final = 500
"""Number of trials per compacted file; bounds the memory use of a compaction."""
ROW_GROUP: Final = 65_536


def compact(root: str | Path | Location, *, at_least: int = 64) -> int:
    """Merges the loose records of finished trials, for each kind with at least ``at_least`` loose records.

    Returns:
        Number of files that were merged.

    Raises:
        OSError: If reading or writing fails; no record is lost.
    """
    ledger = Ledger(root)
    finished = ledger.finished_ids()
    merged = 0
    for kind in _KINDS:
        files = [f for f in ledger.loose_files(kind) if f.name.removesuffix(".parquet") in finished]
        if len(files) >= at_least:
            for start in range(0, len(files), AT_ONCE):
                merged += _merge(ledger.records / kind, kind, files[start : start + AT_ONCE])
    return merged


def compacted_bytes(kind: Kind, tables: Sequence[pa.Table]) -> memoryview:
    """Tables of one kind as the bytes of one compacted file, whose metadata lists its trials."""
    table = pa.concat_tables(tables).sort_by([(name, "ascending") for name in _ORDER[kind]])
    held = ",".join(table["trial_id"].unique().to_pylist()).encode()
    schema = with_version(SCHEMAS[kind])
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata({**(schema.metadata or {}), HELD: held}),
        sink,
        compression="zstd",
        use_dictionary=[f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_integer(f.type)],
        row_group_size=ROW_GROUP,
        write_page_checksum=True,
    )
    return memoryview(sink.getvalue())


def compacted_name() -> str:
    """Name of a new compacted file; names sort by time, so the newest file has the greatest name."""
    return f"{COMPACTED}{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"


def _merge(folder: Location, kind: Kind, files: Sequence[Location]) -> int:
    """Merges files into one, removes those that have not changed since, and returns the number of merged files."""
    tables, sources = [], []
    for file in files:
        stamp = file.stamp()
        content = file.read()
        if content is None:
            continue
        try:
            read = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
            if version_of(read.schema_arrow) != SCHEMA_VERSION:
                continue
            tables.append(migrate(read.read(), kind, SCHEMA_VERSION))
        except UNREADABLE:
            continue  # the file stays loose; the reader reports it
        sources.append((file, stamp))
    if not sources:
        return 0
    (folder / compacted_name()).write_atomic(compacted_bytes(kind, tables))
    for file, stamp in sources:
        if file.stamp() == stamp:
            file.delete()
    return len(sources)
