"""Stages are stored atomically, on a disk and in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from agrm_study.execution.trial.stage_store import StageFacts, StageStore
from agrm_study.records.location import Location


def facts(key: str = "k", code: str = "1") -> StageFacts:
    return StageFacts(key=key, epoch=10, wall_s=2.5, code_version=code)


def write(folder: Path, text: str = "state") -> None:
    (folder / "rolling.pt").write_text(text)


def refuse(folder: Path) -> None:
    write(folder)
    raise OSError(28, "No space left on device")


@pytest.fixture(params=["disk", "object store"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StageStore]:
    """Arrow's filesystem in memory stands for an object store: it is reached by Arrow alone, but wants folders."""
    if request.param == "disk":
        yield StageStore.of(Location.of(tmp_path / "results"))
        return
    memory = fs._MockFileSystem()
    memory.create_dir("results/stages/k")
    yield StageStore.of(Location(memory, "results"))


def test_what_is_put_is_found_and_can_be_opened_until_it_is_dropped(shelf: StageStore) -> None:
    assert not shelf.exists("k")
    assert shelf.find("k") is None
    shelf.put(facts(), write)
    assert shelf.exists("k")
    assert shelf.find("k") == facts()
    with shelf.opened("k") as folder:
        assert (folder / "rolling.pt").read_text() == "state"
    shelf.drop("k")
    shelf.drop("k")
    assert not shelf.exists("k")


def test_nothing_is_there_when_storage_refuses(shelf: StageStore) -> None:
    with pytest.raises(OSError, match="No space"):
        shelf.put(facts(), refuse)
    assert not shelf.exists("k")
    if shelf.root.is_local:
        assert shelf.root.children() == []


def test_of_two_that_put_one_stage_the_first_stays(tmp_path: Path) -> None:
    shelf = StageStore.of(Location.of(tmp_path))
    shelf.put(facts(), write)
    shelf.put(facts(), lambda folder: write(folder, "another"))
    with shelf.opened("k") as folder:
        assert (folder / "rolling.pt").read_text() == "state"
    assert [entry.name for entry in (tmp_path / "stages").iterdir()] == ["k"]


def test_what_was_dropped_by_halves_makes_room(tmp_path: Path) -> None:
    shelf = StageStore.of(Location.of(tmp_path))
    shelf.put(facts(), write)
    (tmp_path / "stages" / "k" / "stage.json").unlink()
    assert not shelf.exists("k")
    shelf.put(facts(), lambda folder: write(folder, "another"))
    with shelf.opened("k") as folder:
        assert (folder / "rolling.pt").read_text() == "another"


def test_taking_stock_removes_what_is_unfinished_unreadable_or_made_by_other_code(tmp_path: Path) -> None:
    shelf = StageStore.of(Location.of(tmp_path))
    for key, code in (("mine", "1"), ("old", "0"), ("odd", "1")):
        shelf.put(facts(key, code), write)
    (tmp_path / "stages" / "odd" / "stage.json").write_text("{")
    write_to = tmp_path / "stages" / "mine.1234.tmp"
    write_to.mkdir()
    write(write_to)
    assert shelf.take_stock("1") == {"mine": facts("mine")}
    assert [entry.name for entry in (tmp_path / "stages").iterdir()] == ["mine"]
    assert StageStore.of(Location.of(tmp_path / "nothing")).take_stock("1") == {}
