"""How do many small records become few files, while a study may still be writing?

Only finished trials are merged: their records never change again. The merged file is put in place first, the files it
replaces are removed afterwards; a crash in between leaves the same rows twice, which the reader recognises.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from agrm_study.records.location import Location
from agrm_study.records.reader import COMPACTED, Ledger
from agrm_study.records.schemas import SCHEMAS, Kind, with_version
from agrm_study.records.writer import table_bytes

_KINDS: Final[tuple[Kind, ...]] = ("predictions", "epochs", "trials")


def compact(root: str | Path | Location, *, at_least: int = 64) -> int:
    """Merges the loose records of finished trials, where there are ``at_least`` of a kind.

    Returns:
        Number of files that were merged.

    Raises:
        OSError: When storage refuses; nothing is lost then.
    """
    ledger = Ledger(root)
    finished = ledger.finished_ids()
    merged = 0
    for kind in _KINDS:
        files = [f for f in ledger.loose_files(kind) if f.name.removesuffix(".parquet") in finished]
        if len(files) < at_least:
            continue
        tables, sources = [], []
        for file in files:
            content = file.read()
            if content is None:
                continue
            try:
                tables.append(pq.read_table(pa.BufferReader(content), schema=SCHEMAS[kind]))
            except (OSError, pa.ArrowException):
                continue  # stays loose; the reader reports it
            sources.append(file)
        # Names sort by time, so the newest of two files that hold a trial is the one with the greater name.
        name = f"{COMPACTED}{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        merged_table = pa.concat_tables(tables).replace_schema_metadata(with_version(SCHEMAS[kind]).metadata)
        (ledger.records / kind / name).write_atomic(table_bytes(merged_table))
        for file in sources:
            file.delete()
        merged += len(sources)
    return merged
