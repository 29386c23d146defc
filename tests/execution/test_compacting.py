"""Are the records of a long run merged while it goes on?"""

from __future__ import annotations

from pathlib import Path

import pytest
from small_records import trial_row

from agrm_study.execution.compacting import Compacting
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.writer import write_trial


def finish(root: Path, compacting: Compacting, numbers: range) -> None:
    for number in numbers:
        write_trial(root, trial_row(f"{number:016x}"))
        compacting.finished()


def test_records_are_merged_whenever_so_many_have_come_and_none_is_lost(tmp_path: Path) -> None:
    compacting = Compacting(Location.of(tmp_path), every=80)
    finish(tmp_path, compacting, range(79))
    compacting.close()
    assert len(Ledger(tmp_path).loose_files("trials")) == 79
    finish(tmp_path, compacting, range(79, 100))
    compacting.close()
    assert len(Ledger(tmp_path).loose_files("trials")) <= 20
    assert Ledger(tmp_path).finished_ids() == {f"{number:016x}" for number in range(100)}


def test_storage_that_refuses_a_merge_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Location, data: bytes, *, durable: bool = True) -> None:
        raise OSError("gone")

    compacting = Compacting(Location.of(tmp_path), every=1000)
    finish(tmp_path, compacting, range(70))
    monkeypatch.setattr(Location, "write_atomic", refuse)
    again = Compacting(Location.of(tmp_path), every=1)
    again.finished()
    again.close()
    assert len(Ledger(tmp_path).finished_ids()) == 70
