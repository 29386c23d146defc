"""The ledger contains exactly what was written, without duplicates, and in spite of damage."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_records import prediction_block, trial_row, write

from agrm_study.records.compaction import compact
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import SCHEMAS, with_version
from agrm_study.records.writer import write_subjects, write_trial
from agrm_study.study.errors import InputError


def test_what_was_written_is_read_back_exactly(tmp_path: Path) -> None:
    write(tmp_path, "a" * 16)
    ledger = Ledger(tmp_path)
    trial = ledger.trials().iloc[0]
    assert (trial["arm"], trial["seed"], trial["tau"]) == ("AGRM", 3, 0.8)
    assert json.loads(trial["params"]) == {"ssl.ema.alpha": 0.99}
    test = ledger.predictions(split="test", network="teacher")
    assert len(test) == 4
    np.testing.assert_array_equal(np.stack(test["logits"].to_list()), prediction_block()["logits"])
    assert test["label"].dtype == np.int8
    assert list(ledger.epochs()["macro_f1"]) == [0.1, 0.2]
    assert ledger.problems == ()


@pytest.mark.parametrize("kind", ["trials", "epochs", "predictions"])
def test_files_carry_the_schema_and_its_version(tmp_path: Path, kind: str) -> None:
    write(tmp_path, "a" * 16)
    (file,) = (tmp_path / "records" / kind).iterdir()
    assert file.name == "a" * 16 + ".parquet"
    schema = pq.read_schema(file)
    assert schema.equals(SCHEMAS[kind])  # type: ignore[index]
    assert schema.metadata[b"schema_version"] == b"1"
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"


def test_an_empty_folder_has_no_trials_but_all_columns(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "nothing")
    assert ledger.finished_ids() == frozenset()
    assert list(ledger.trials().columns) == SCHEMAS["trials"].names
    assert ledger.predictions(split="test").empty


def test_a_later_success_supersedes_a_failed_record(tmp_path: Path) -> None:
    write_trial(tmp_path, trial_row("a" * 16, status="failed", failure="oom_gpu", error="too big"))
    ledger = Ledger(tmp_path)
    assert ledger.finished_ids() == frozenset()
    assert list(ledger.failed()["failure"]) == ["oom_gpu"]
    write(tmp_path, "a" * 16, attempt=2)
    assert ledger.finished_ids() == {"a" * 16}
    assert ledger.failed().empty
    assert list(ledger.trials()["attempt"]) == [2]


def test_epochs_and_predictions_of_unfinished_trials_are_not_shown(tmp_path: Path) -> None:
    write(tmp_path, "a" * 16)
    write(tmp_path, "b" * 16, status="failed", failure="bug")
    write(tmp_path, "d" * 16)
    (tmp_path / "records" / "trials" / ("d" * 16 + ".parquet")).unlink()
    ledger = Ledger(tmp_path)
    assert set(ledger.epochs()["trial_id"]) == {"a" * 16}
    assert set(ledger.predictions()["trial_id"]) == {"a" * 16}
    assert set(ledger.epochs(trial_ids=["b" * 16])["trial_id"]) == {"b" * 16}


def test_a_damaged_file_is_a_problem_and_its_trial_is_not_done(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path, name * 16)
    damaged = tmp_path / "records" / "trials" / ("b" * 16 + ".parquet")
    damaged.write_bytes(damaged.read_bytes()[:100])
    ledger = Ledger(tmp_path)
    assert ledger.finished_ids() == {"a" * 16, "c" * 16}
    assert [Path(problem.path).name for problem in ledger.problems] == [damaged.name]
    assert ledger.problems[0].reason


def test_records_of_a_newer_program_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "records" / "trials"
    folder.mkdir(parents=True)
    schema = with_version(SCHEMAS["trials"]).with_metadata({b"schema_version": b"99"})
    pq.write_table(pa.Table.from_pylist([trial_row("a" * 16)], schema=schema), folder / "x.parquet")
    with pytest.raises(InputError, match="schema version 1 or older"):
        Ledger(tmp_path).trials()


def test_unknown_and_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown: colour"):
        write_trial(tmp_path, trial_row("a" * 16, colour="red"))
    with pytest.raises(ValueError, match="must have a value: arm"):
        write_trial(tmp_path, trial_row("a" * 16, arm=None))


def test_a_storage_that_recovers_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agrm_study.records import location, patience

    failures = iter([OSError(28, "No space left on device"), None, None, None])
    real = location.Location.write_atomic

    def flaky(self: location.Location, data: memoryview) -> None:
        error = next(failures)
        if error is not None:
            raise error
        real(self, data)

    monkeypatch.setattr(location.Location, "write_atomic", flaky)
    monkeypatch.setattr(patience.time, "sleep", lambda s: None)
    write(tmp_path, "a" * 16)
    assert Ledger(tmp_path).finished_ids() == {"a" * 16}


def test_a_refused_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agrm_study.records import patience

    monkeypatch.setattr(patience.time, "sleep", lambda s: None)
    (tmp_path / "records").mkdir()
    monkeypatch.setattr(Path, "rename", lambda *a: (_ for _ in ()).throw(OSError("read-only")))
    with pytest.raises(OSError, match="read-only"):
        write(tmp_path, "a" * 16)
    assert [f for f in (tmp_path / "records").rglob("*") if f.is_file()] == []


def test_compaction_changes_no_answer(tmp_path: Path) -> None:
    for index in range(20):
        write(tmp_path, f"{index:016x}", status="failed" if index == 7 else "finished", seed=index)
    ledger = Ledger(tmp_path)
    before = (ledger.trials(), ledger.epochs(), ledger.predictions(split="test"), ledger.states())
    assert compact(tmp_path, at_least=2) == 19 * 3
    assert len(list((tmp_path / "records" / "trials").iterdir())) == 2
    after = (ledger.trials(), ledger.epochs(), ledger.predictions(split="test"), ledger.states())
    for left, right in zip(before[:3], after[:3], strict=True):
        assert left.astype(str).equals(right.astype(str))
    assert before[3] == after[3]


def test_a_loose_record_supersedes_a_compacted_one_and_compactions_add_up(tmp_path: Path) -> None:
    for index in range(4):
        write(tmp_path, f"{index:016x}")
    compact(tmp_path, at_least=2)
    write(tmp_path, f"{1:016x}", attempt=9)
    for index in range(4, 8):
        write(tmp_path, f"{index:016x}")
    ledger = Ledger(tmp_path)
    assert len(ledger.trials()) == 8
    assert ledger.states()[f"{1:016x}"].attempt == 9
    compact(tmp_path, at_least=2)
    assert len(ledger.trials()) == 8
    assert ledger.states()[f"{1:016x}"].attempt == 9
    assert len(ledger.predictions(split="test")) == 8 * 4


def test_a_compaction_that_was_cut_short_shows_no_row_twice(tmp_path: Path) -> None:
    for index in range(4):
        write(tmp_path, f"{index:016x}")
    loose = {f: f.read_bytes() for f in (tmp_path / "records").rglob("*.parquet")}
    compact(tmp_path, at_least=2)
    for file in list(loose)[:2]:
        file.write_bytes(loose[file])
    (compacted,) = (tmp_path / "records" / "epochs").glob("compacted-*")
    compacted.with_name("compacted-99.parquet").write_bytes(compacted.read_bytes())
    ledger = Ledger(tmp_path)
    assert len(ledger.trials()) == 4
    assert len(ledger.epochs()) == 8
    assert len(ledger.predictions()) == 32


def test_compaction_is_safe_while_a_study_writes(tmp_path: Path) -> None:
    done = threading.Event()

    def study() -> None:
        for index in range(60):
            write(tmp_path, f"{index:016x}")
        done.set()

    writer = threading.Thread(target=study)
    writer.start()
    while not done.is_set():
        compact(tmp_path, at_least=2)
        Ledger(tmp_path).finished_ids()
    writer.join()
    compact(tmp_path, at_least=1)
    ledger = Ledger(tmp_path)
    assert len(ledger.finished_ids()) == 60
    assert len(ledger.epochs()) == 120
    assert len(ledger.predictions(split="val")) == 240


def test_subjects_of_every_split_are_kept(tmp_path: Path) -> None:
    for seed in (0, 1):
        rows = [
            {"subject_id": "s1", "split_seed": seed, "split": "train", "label": "normal", "sex": "male", "age": 7.0},
            {"subject_id": "u1", "split_seed": seed, "split": "unlabelled_train", "clips": 3},
        ]
        write_subjects(tmp_path, f"fp{seed}", rows)
    subjects = Ledger(tmp_path).subjects()
    assert list(subjects["split_fingerprint"]) == ["fp0", "fp0", "fp1", "fp1"]
    assert subjects["label"].isna().sum() == 2


def test_a_memory_filesystem_works_like_a_local_one() -> None:
    from pyarrow import fs

    from agrm_study.records.location import Location

    filesystem = fs._MockFileSystem() if hasattr(fs, "_MockFileSystem") else None
    if filesystem is None:
        pytest.skip("this pyarrow has no mock filesystem")
    root = Location(filesystem, "bucket/results")
    filesystem.create_dir("bucket/results/records/trials", recursive=True)
    write_trial(root, trial_row("a" * 16))
    assert Ledger(root).finished_ids() == {"a" * 16}
