"""A location refers to the same place on every machine, and nothing is written if its disk is missing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agrm_study.execution.trial.checkpoints import CheckpointFolder
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError


def test_the_address_of_a_local_folder_is_its_path_also_when_it_came_as_a_uri(tmp_path: Path) -> None:
    for given in (tmp_path, str(tmp_path), f"file://{tmp_path}"):
        assert (Location.of(given) / "a" / "b").address == f"{tmp_path}/a/b"


@pytest.mark.parametrize("given", ["ftp://host/x", "s3://bucket/a b", "s3://bucket/x?nonsense=1"])
def test_a_uri_that_cannot_be_read_is_wrong_input(given: str) -> None:
    with pytest.raises(InputError, match="must be the path or URI of a folder") as raised:
        Location.of(given)
    assert given in str(raised.value)


def test_a_location_in_a_bucket_is_found_again_by_its_address() -> None:
    given = "gs://anonymous@bucket/a?scheme=http&endpoint_override=127.0.0.1:9"
    assert (Location.of(given) / "b").address == given.replace("bucket/a", "bucket/a/b")


def test_a_server_of_google_that_cannot_be_reached_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agrm_study.study.object_store.RETRIED_FOR_S", 0.2)  # for Arrow it is a quarter of an hour
    began = time.monotonic()
    with pytest.raises(OSError, match=r"Could(n't| not) connect"):
        Location.of("gs://anonymous@bucket/a?scheme=http&endpoint_override=127.0.0.1:9").read()
    assert time.monotonic() - began < 10


def test_nothing_is_written_where_the_results_were_while_their_disk_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "results"
    root.mkdir()
    results = Location.of(root).anchored()
    (results / "records" / "one").write_atomic(b"1")
    root.rename(tmp_path / "unmounted")
    folder = CheckpointFolder.of(results, "trial")
    for write in (
        lambda: (results / "records" / "two").write_atomic(b"2"),
        lambda: folder.save(lambda: folder.local.mkdir(parents=True)),
        lambda: (results / "records" / "one").read(),
    ):
        with pytest.raises(OSError, match="no longer available"):
            write()
    assert not root.exists()
    (tmp_path / "unmounted").rename(root)
    assert (results / "records" / "one").read() == b"1"
    assert (results / "records" / "two").read() is None
    (Location.of(tmp_path / "new") / "a" / "b").write_atomic(b"made")  # a folder that nobody has seen yet is made
