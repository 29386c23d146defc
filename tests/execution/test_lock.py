"""Reading a results folder does not interfere with a run."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
import time
from pathlib import Path

import pytest
from pyarrow import fs

from agrm_study.execution.results_folder import object_store_lock as claim
from agrm_study.execution.results_folder.lock import FOLDER, LOCK, results_lock, running_owner
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError


def test_a_run_starts_though_somebody_looks_at_the_folder_in_that_moment(tmp_path: Path) -> None:
    results = Location.of(tmp_path)
    with results_lock(results, "study"):
        pass
    descriptor = os.open(tmp_path / FOLDER / LOCK, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    looked = threading.Timer(0.2, os.close, [descriptor])
    looked.start()
    with results_lock(results, "study"):
        owner = running_owner(results)
    looked.join()
    assert owner is not None
    assert (owner["study"], owner["pid"]) == ("study", os.getpid())
    assert running_owner(results) is None


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Location:
    """Results in an object store, and little patience."""
    memory = fs._MockFileSystem()
    memory.create_dir("results/.run")
    for name, seconds in {"RENEW_EVERY_S": 0.05, "EXPIRES_AFTER_S": 0.6, "SETTLE_S": 0.2, "LOOK_EVERY_S": 0.02}.items():
        monkeypatch.setattr(claim, name, seconds)
    return Location(memory, "results")


def left_behind(bucket: Location, age_s: float) -> None:
    """What a run has left that was killed so many seconds ago."""
    said = {"study": "killed", "host": "h", "pid": 7, "since": time.time() - 3600, "said_at": time.time() - age_s}
    (bucket / FOLDER / LOCK).write_atomic(json.dumps(said).encode())


def test_in_an_object_store_a_run_is_seen_until_it_ends_or_says_nothing_any_more(
    bucket: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen() -> str:
        owner = running_owner(bucket)
        return "" if owner is None else owner["study"]

    assert seen() == ""
    with results_lock(bucket, "first"):
        assert seen() == "first"
        (bucket / FOLDER / LOCK).delete()
        assert any(seen() == "first" or time.sleep(0.01) for _ in range(500)), "it is said again"
        monkeypatch.setattr(claim, "EXPIRES_AFTER_S", 0.0)
        assert seen() == ""
        monkeypatch.setattr(claim, "EXPIRES_AFTER_S", 60.0)
        assert seen() == "first"
    assert (bucket / FOLDER / LOCK).read() is None


def test_in_an_object_store_a_second_run_is_refused_while_the_first_one_says_that_it_is_there(bucket: Location) -> None:
    with (
        results_lock(bucket, "first"),
        pytest.raises(InputError, match=r"one run at a time.*study first"),
        results_lock(bucket, "second"),
    ):
        pass
    with results_lock(bucket, "second"):
        owner = running_owner(bucket)
        assert owner is not None
        assert set(owner) == {"study", "host", "pid", "since"}


def test_what_a_killed_run_has_left_in_an_object_store_is_watched_and_then_taken(bucket: Location) -> None:
    looks: list[float] = []
    left_behind(bucket, age_s=5.0)
    with results_lock(bucket, "next", lambda: looks.append(time.monotonic())):
        owner = running_owner(bucket)
        assert owner is not None
        assert owner["study"] == "next"
    assert looks[-1] - looks[0] >= 0.5

    left_behind(bucket, age_s=claim.IGNORED_AFTER_S + 1)
    began, looks = time.monotonic(), []
    with results_lock(bucket, "next"):
        assert time.monotonic() - began < 0.6, "what is that old is not watched"


def test_of_two_runs_that_begin_in_the_same_moment_one_goes_on(bucket: Location) -> None:
    def other_begins() -> None:
        if not others:
            others.append(True)
            left_behind(bucket, age_s=0.0)

    others: list[bool] = []
    with pytest.raises(InputError, match=r"study killed"), results_lock(bucket, "late", other_begins):
        pass


def test_looking_into_a_claim_can_be_given_up(bucket: Location) -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    left_behind(bucket, age_s=5.0)
    with pytest.raises(KeyboardInterrupt), results_lock(bucket, "next", give_up):
        pass
    assert json.loads((bucket / FOLDER / LOCK).read() or b"{}")["study"] == "killed"


def test_a_run_that_is_under_way_is_not_waited_for(tmp_path: Path) -> None:
    results = Location.of(tmp_path)
    with (
        results_lock(results, "first"),
        pytest.raises(InputError, match="study first"),
        results_lock(results, "second"),
    ):
        pass


@pytest.mark.parametrize("linked", [FOLDER, f"{FOLDER}/{LOCK}"])
def test_a_lock_that_is_a_link_is_refused_and_its_target_is_not_touched(tmp_path: Path, linked: str) -> None:
    results, target = tmp_path / "results", tmp_path / "target"
    (results / linked).parent.mkdir(parents=True)
    if linked == FOLDER:
        target.mkdir()
    kept = target / LOCK if linked == FOLDER else target
    kept.write_text("a file of another user")
    (results / linked).symlink_to(target)
    with pytest.raises(InputError, match="must not be links"), results_lock(Location.of(results), "study"):
        pass
    assert kept.read_text() == "a file of another user"
    assert running_owner(Location.of(results)) is None


@pytest.mark.parametrize(
    "content", ["[]", '{"study": 3}', '{"study": "s", "host": "h", "pid": "x", "since": null}', "{"]
)
def test_a_lock_whose_content_is_damaged_still_refuses_a_second_run(tmp_path: Path, content: str) -> None:
    results = Location.of(tmp_path)
    with results_lock(results, "first"):
        (tmp_path / FOLDER / LOCK).write_text(content)
        assert running_owner(results) == {}
        with pytest.raises(InputError, match="held by another process"), results_lock(results, "second"):
            pass


@pytest.mark.parametrize("content", [b"[]", b'{"said_at": "now"}', b'{"claim": 3, "said_at": null}', b"\xff"])
def test_a_damaged_claim_in_an_object_store_counts_as_none(bucket: Location, content: bytes) -> None:
    (bucket / FOLDER / LOCK).write_atomic(content)
    assert running_owner(bucket) is None
    with results_lock(bucket, "next"):
        assert (running_owner(bucket) or {})["study"] == "next"


def test_what_killed_runs_left_is_gone_when_a_run_starts_and_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, root = tmp_path / "machine", tmp_path / "results"
    monkeypatch.setattr(tempfile, "tempdir", str(machine))
    kept = [
        root / "records" / "trials" / "a.parquet",
        root / "checkpoints" / "a" / "rolling.pt",
        root / "tables" / ".table.md.12345678.tmp",  # nothing of a run
        root / FOLDER / "heartbeats" / "a.json",
    ]
    left = [
        root / ".plan.json.12345678.tmp",
        root / FOLDER / "20260101-1234.stop",
        root / FOLDER / ".fence.12345678.tmp",
        root / FOLDER / "heartbeats" / ".a.json.12345678.tmp",
        root / "records" / "trials" / ".a.parquet.12345678.tmp",
        root / "records" / "predictions" / ".a.parquet.12345678.tmp",
        root / "checkpoints" / "a" / ".rolling.pt.12345678.tmp",
        root / "stages" / ".key.12345678.tmp" / "owner.lock",
        machine / f"agrm-study-{os.getuid()}" / ".tune.12345678.tmp" / "owner.lock",
    ]

    def leave() -> None:
        for file in [*kept, *left]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    leave()
    with results_lock(Location.of(root), "study"):
        assert [file for file in left if file.exists()] == []
        leave()
    assert [file for file in left if file.exists()] == []
    assert all(file.exists() for file in kept)
    assert not left[-1].parent.exists()
    assert not left[-2].parent.exists()
