"""Records of a long run are merged while it continues."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

from small_records import trial_row

from agrm_study.execution.results_folder.upkeep import Compacting
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


@contextlib.contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Writing to files fails for processes that are started meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_storage_that_refuses_a_merge_does_no_harm_and_the_next_one_takes_all(tmp_path: Path) -> None:
    compacting = Compacting(Location.of(tmp_path), every=1)
    for number in range(70):
        write_trial(tmp_path, trial_row(f"{number:016x}"))
    with no_file_may_grow():
        compacting.finished()
    compacting.close()
    assert len(Ledger(tmp_path).loose_files("trials")) == 70
    assert len(Ledger(tmp_path).finished_ids()) == 70
    compacting.finished()
    compacting.close()
    assert len(Ledger(tmp_path).loose_files("trials")) == 0
    assert len(Ledger(tmp_path).finished_ids()) == 70
