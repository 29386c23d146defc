"""Compaction neither loses nor duplicates a row while other processes write and read."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
from small_records import write

from agrm_study.records import compaction
from agrm_study.records.compaction import compact
from agrm_study.records.files import HELD
from agrm_study.records.reader import Ledger

TRIALS = 120
WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from small_records import write
for index in range(int(sys.argv[3])):
    write(Path(sys.argv[1]), f"{index:016x}", status="finished" if index % 10 else "failed", failure="oom")
    if index % 10 == 5:
        write(Path(sys.argv[1]), f"{index - 5:016x}", attempt=2)
"""
COMPACTOR = """
import sys
from agrm_study.records.compaction import compact
while True:
    compact(sys.argv[1], at_least=2)
"""


def test_a_process_that_compacts_and_one_that_writes_lose_and_double_nothing(tmp_path: Path) -> None:
    here = str(Path(__file__).parents[1])
    (tmp_path / "records").mkdir()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), here, str(TRIALS)])
    compactors = [subprocess.Popen([sys.executable, "-c", COMPACTOR, str(tmp_path)]) for _ in range(2)]
    ledger = Ledger(tmp_path)
    try:
        seen = 0
        while writer.poll() is None:
            ids = ledger.finished_ids()
            predictions = ledger.predictions("test", trial_ids=sorted(ids))
            assert len(predictions) == 4 * len(ids)
            assert len(ledger.epochs(trial_ids=sorted(ids))) == 2 * len(ids)
            assert len(ids) >= seen, "a finished trial is never taken back"
            seen = len(ids)
            time.sleep(0.02)
    finally:
        for process in compactors:
            process.kill()
            process.wait()
        writer.kill()
    assert writer.wait() == 0
    compact(tmp_path, at_least=1)
    trials = ledger.trials()
    assert len(trials) == TRIALS
    assert (trials["status"] == "finished").all()
    assert set(trials.loc[trials["attempt"] == 2, "trial_id"]) == {f"{i:016x}" for i in range(0, TRIALS, 10)}
    assert len(ledger.predictions()) == 8 * TRIALS
    assert len(ledger.epochs()) == 2 * TRIALS
    assert ledger.problems == ()


def test_a_record_that_is_replaced_during_a_compaction_is_kept(tmp_path: Path, monkeypatch) -> None:
    for index in range(4):
        write(tmp_path, f"{index:016x}")
    real = compaction.compacted_bytes

    def slow(kind, tables):
        if kind == "trials":
            write(tmp_path, f"{2:016x}", attempt=5)
        return real(kind, tables)

    monkeypatch.setattr(compaction, "compacted_bytes", slow)
    compact(tmp_path, at_least=2)
    assert Ledger(tmp_path).states()[f"{2:016x}"].attempt == 5
    assert len(Ledger(tmp_path).trials()) == 4
    assert len(Ledger(tmp_path).predictions("test")) == 16


def test_compacted_files_are_bounded_and_name_the_trials_they_hold(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(compaction, "AT_ONCE", 3)
    for index in range(7):
        write(tmp_path, f"{index:016x}")
    compact(tmp_path, at_least=2)
    files = sorted((tmp_path / "records" / "predictions").iterdir())
    held = [pq.read_schema(f).metadata[HELD].decode().split(",") for f in files]
    assert [len(h) for h in held] == [3, 3, 1]
    some = [f"{i:016x}" for i in (1, 4)]
    assert set(Ledger(tmp_path).predictions("test", trial_ids=some)["trial_id"]) == set(some)
    assert len(Ledger(tmp_path).predictions("val")) == 28
