"""Records of an older schema version are converted when read, and remain unchanged on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agrm_study.records import migrations
from agrm_study.records.compaction import compact
from agrm_study.records.reader import Ledger
from agrm_study.records.writer import write_trial
from agrm_study.study.errors import InputError

NOW = {
    "study": "demo", "config_id": "c" * 16, "phase": "final", "arm": "AGRM", "task": "two_class", "seed": 3,
    "split_seed": 0, "params": json.dumps({}), "status": "finished", "attempt": 1,
}  # fmt: skip


def of_version_0(table: pa.Table) -> pa.Table:
    """Version 0 called the arm ``variant`` and counted milliseconds."""
    table = table.rename_columns(["arm" if name == "variant" else name for name in table.column_names])
    seconds = pa.compute.divide(table["wall_ms"].cast(pa.float64()), 1000)
    return table.drop_columns(["wall_ms"]).append_column("wall_s", seconds)


def write_old(root: Path, trial_id: str, **more: Any) -> Path:
    row = {k: v for k, v in NOW.items() if k != "arm"} | {"trial_id": trial_id, "variant": "old", "wall_ms": 1500}
    path = root / "records" / "trials" / f"{trial_id}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([row | more]).replace_schema_metadata({b"schema_version": b"0"})
    pq.write_table(table, path)
    return path


@pytest.fixture
def version_0_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(migrations.MIGRATIONS, 0, {"trials": of_version_0})


@pytest.mark.usefixtures("version_0_is_known")
def test_old_and_new_records_are_read_together_and_the_old_file_stays_as_it_is(tmp_path: Path) -> None:
    old = write_old(tmp_path, "a" * 16)
    before = old.read_bytes()
    write_trial(tmp_path, NOW | {"trial_id": "b" * 16, "wall_s": 2.0})
    ledger = Ledger(tmp_path)
    trials = ledger.trials()
    assert list(trials["arm"]) == ["old", "AGRM"]
    assert list(trials["wall_s"]) == [1.5, 2.0]
    assert trials["best_epoch"].isna().all()
    assert ledger.finished_ids() == {"a" * 16, "b" * 16}
    assert compact(tmp_path, at_least=1) == 1
    assert old.read_bytes() == before
    assert list(Ledger(tmp_path).trials()["arm"]) == ["old", "AGRM"]


@pytest.mark.usefixtures("version_0_is_known")
def test_an_old_record_without_a_column_it_must_have_is_a_problem(tmp_path: Path) -> None:
    row = {"trial_id": "a" * 16, "variant": "old", "wall_ms": 1}
    path = write_old(tmp_path, "a" * 16)
    pq.write_table(pa.Table.from_pylist([row]).replace_schema_metadata({b"schema_version": b"0"}), path)
    ledger = Ledger(tmp_path)
    assert ledger.trials().empty
    assert [p.reason for p in ledger.problems] == ["column study is missing"]


def test_a_version_that_nothing_leads_on_from_is_refused_and_so_is_a_newer_one(tmp_path: Path) -> None:
    path = write_old(tmp_path, "a" * 16)
    with pytest.raises(InputError, match=r"cannot be read; given 0; allowed: 1"):
        Ledger(tmp_path).trials()
    write_trial(tmp_path, NOW | {"trial_id": "0" * 16})
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"schema_version": b"7"}), path)
    with pytest.raises(InputError, match=r"schema version 1 or older.*newer agrm-study"):
        Ledger(tmp_path).trials()


def test_a_record_of_today_without_a_column_it_must_have_is_a_problem(tmp_path: Path) -> None:
    for trial_id in ("a" * 16, "b" * 16):
        write_trial(tmp_path, NOW | {"trial_id": trial_id})
    path = tmp_path / "records" / "trials" / f"{'a' * 16}.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["arm"]), path)
    ledger = Ledger(tmp_path)
    assert ledger.finished_ids() == {"b" * 16}
    assert [p.reason for p in ledger.problems] == ["column arm is missing"]
