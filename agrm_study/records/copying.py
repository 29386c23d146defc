"""Copying of a finished trial into the ledger of another study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agrm_study.records.integrity import verified
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import SCHEMAS, Kind, with_version
from agrm_study.records.writer import put_record, rows_table, sealed_rows


def copy_trial(source: Ledger, root: Location, trial_id: str, columns: Mapping[str, Any]) -> None:
    """Copies the records of one trial; the `trials` record is written last.

    Args:
        source: Ledger that contains the trial.
        root: Results folder to copy to.
        trial_id: Id of the trial.
        columns: Values to replace in the `trials` record of the copy, by column.

    Raises:
        KeyError: If the source does not contain the trial.
        OSError: If reading or writing fails.
    """
    rows = source.table("trials", trial_id).to_pylist()
    if not rows:
        raise KeyError(trial_id)
    kinds: tuple[Kind, ...] = ("predictions", "epochs")
    for kind in kinds:
        table = source.table(kind, trial_id)
        if table.num_rows:
            versioned = table.replace_schema_metadata(with_version(SCHEMAS[kind]).metadata)
            put_record(root / "records", kind, trial_id, versioned)
    row = {**rows[0], **columns}
    seal = sealed_rows([row]) if verified(row) else rows_table([row], SCHEMAS["trials"])
    put_record(root / "records", "trials", trial_id, seal)
