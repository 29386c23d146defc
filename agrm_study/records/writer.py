"""Atomic writing of a trial's records.

Each kind of record is one small file per trial, written atomically; the `trials` record is written last, so its
presence implies that all other records exist. Rewriting a trial replaces its files: a later success supersedes a
failure, and the last attempt takes precedence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agrm_study.records.digests import block_digests, blocks_text, digests
from agrm_study.records.location import Location
from agrm_study.records.patience import PAUSES_S, retry_storage
from agrm_study.records.schemas import EPOCHS, PREDICTIONS, SUBJECTS, TRIALS, Kind, with_version

FEW_ROWS: Final = 64


def write_trial(
    root: str | Path | Location,
    trial: Mapping[str, Any],
    *,
    epochs: Sequence[Mapping[str, Any]] = (),
    predictions: Sequence[Mapping[str, Any]] = (),
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Writes the records of one trial; the `trials` record, which contains all digests, is written last.

    Args:
        root: Results folder (records are written to ``records/<kind>/<trial_id>.parquet``).
        trial: Columns of the `trials` record; absent columns are null.
        epochs: One mapping per row of the `epochs` record, without ``trial_id``.
        predictions: One mapping per part and network: ``split``, ``network``, ``epoch`` (scalars), ``subject_id`` and
            ``clip_id`` (N strings), ``label`` (N,), ``logits`` (N, K).
        pauses_s: Pauses before each retry after a storage error, in seconds.

    Raises:
        OSError: If storage still fails after the retries.
        pyarrow.ArrowInvalid: If a value does not match the type of its column.
        ValueError: If a column is not in the schema.
    """
    records = Location.of(root) / "records"
    trial_id = str(trial["trial_id"])
    row = {**trial, "predictions_digest": None, "epochs_digest": None}
    if predictions:
        table = predictions_table(trial_id, predictions)
        row["predictions_digest"] = blocks_text(block_digests(table).get(trial_id, {}))
        put_record(records, "predictions", trial_id, table, pauses_s)
    if epochs:
        table = epochs_table(trial_id, epochs)
        row["epochs_digest"] = digests(table, "epochs", "trial_id")[trial_id]
        put_record(records, "epochs", trial_id, table, pauses_s)
    put_record(records, "trials", trial_id, sealed_rows([row]), pauses_s)


def sealed_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of the `trials` record, each with its digest."""
    table = rows_table([{**row, "row_digest": None} for row in rows], TRIALS)
    found = digests(table, "trials", "trial_id")
    column = table.schema.get_field_index("row_digest")
    sealed = pa.array([found[str(row["trial_id"])] for row in rows], type=pa.string())
    return table.set_column(column, table.schema.field(column), sealed)


def write_subjects(root: str | Path | Location, split_fingerprint: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the subjects of each part of a split: ``records/subjects/<split_fingerprint>.parquet``.

    Raises:
        OSError: If storage still fails after the retries.
    """
    rows = [{**row, "split_fingerprint": split_fingerprint, "rows_digest": None} for row in rows]
    found = digests(rows_table(rows, SUBJECTS), "subjects", "split_fingerprint")
    rows = [{**row, "rows_digest": found[split_fingerprint]} for row in rows]
    put_record(Location.of(root) / "records", "subjects", split_fingerprint, rows_table(rows, SUBJECTS))


def rows_table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table with exactly the given schema."""
    unknown = {key for row in rows for key in row} - set(schema.names)
    if unknown:
        raise ValueError(f"columns must be in the schema; unknown: {', '.join(sorted(unknown))}")
    missing = [f.name for f in schema if not f.nullable and any(row.get(f.name) is None for row in rows)]
    if missing:
        raise ValueError(f"columns must have a value: {', '.join(missing)}")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=with_version(schema))


def epochs_table(trial_id: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Epoch rows as a table of the `epochs` schema."""
    return rows_table([{**row, "trial_id": trial_id} for row in rows], EPOCHS)


def predictions_table(trial_id: str, blocks: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Blocks of predictions (one per part and network) as a table of the `predictions` schema."""
    tables = []
    for block in blocks:
        logits_NK = np.ascontiguousarray(block["logits"], dtype=np.float32)
        n, k = logits_NK.shape
        offsets = pa.array(np.arange(n + 1, dtype=np.int32) * k, type=pa.int32())
        columns = {
            "trial_id": pa.repeat(pa.scalar(trial_id), n),
            "split": pa.repeat(pa.scalar(str(block["split"])), n),
            "subject_id": pa.array(list(block["subject_id"]), type=pa.string()),
            "clip_id": pa.array(list(block["clip_id"]), type=pa.string()),
            "network": pa.repeat(pa.scalar(str(block["network"])), n),
            "epoch": pa.repeat(pa.scalar(int(block["epoch"]), type=pa.int32()), n),
            "label": pa.array(np.asarray(block["label"], dtype=np.int8)),
            "logits": pa.ListArray.from_arrays(offsets, pa.array(logits_NK.reshape(-1))),
        }
        tables.append(pa.table([columns[name] for name in PREDICTIONS.names], schema=with_version(PREDICTIONS)))
    return pa.concat_tables(tables)


def table_bytes(table: pa.Table) -> memoryview:
    """The table as the bytes of a Parquet file with zstd compression."""
    sink = pa.BufferOutputStream()
    # Dictionary encoding costs more time and space than it saves in columns with few rows.
    pq.write_table(table, sink, compression="zstd", use_dictionary=table.num_rows > FEW_ROWS, write_page_checksum=True)
    return memoryview(sink.getvalue())


def put_record(records: Location, kind: Kind, name: str, table: pa.Table, pauses_s: Sequence[float] = PAUSES_S) -> None:
    """Writes one record file; renames a folder that occupies its path.

    Args:
        records: The folder ``records``.
        kind: Kind of record.
        name: Trial id, or fingerprint of the split.
        table: Rows of the record.
        pauses_s: Pauses before each retry after a storage error, in seconds.

    Raises:
        OSError: If storage still fails after the retries.
    """
    data = table_bytes(table)
    target = records / kind / f"{name}.parquet"

    def write() -> None:
        try:
            target.write_atomic(data)
        except IsADirectoryError:
            target.set_aside()
            target.write_atomic(data)

    retry_storage(write, pauses_s)
