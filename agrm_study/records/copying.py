"""How does a finished trial come into the ledger of another study?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from agrm_study.records.location import Location
from agrm_study.records.patience import patiently
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import SCHEMAS, Kind, with_version
from agrm_study.records.writer import rows_table, table_bytes


def copy_trial(source: Ledger, root: Location, trial_id: str, columns: Mapping[str, Any]) -> None:
    """Copies the records of one trial, the `trials` record last.

    Args:
        source: Holds the trial.
        root: Results folder that takes it.
        trial_id: The trial.
        columns: Columns of the `trials` record that differ there.

    Raises:
        KeyError: When the source has no such trial.
        OSError: When storage refuses.
    """
    rows = source.table("trials", trial_id).to_pylist()
    if not rows:
        raise KeyError(trial_id)
    kinds: tuple[Kind, ...] = ("predictions", "epochs")
    for kind in kinds:
        table = source.table(kind, trial_id)
        if table.num_rows:
            _put(root, kind, trial_id, table.replace_schema_metadata(with_version(SCHEMAS[kind]).metadata))
    _put(root, "trials", trial_id, rows_table([{**rows[0], **columns}], SCHEMAS["trials"]))


def _put(root: Location, kind: Kind, trial_id: str, table: pa.Table) -> None:
    content = table_bytes(table)
    patiently(lambda: (root / "records" / kind / f"{trial_id}.parquet").write_atomic(content))
