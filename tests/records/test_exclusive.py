"""Exactly one of several creators of a file succeeds, and storage that cannot guarantee this is recognised."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from agrm_study.records import exclusive
from agrm_study.records.exclusive import create, probe
from agrm_study.records.location import Location


def test_of_many_creators_one_succeeds_and_its_content_stays(tmp_path: Path) -> None:
    file = Location.of(tmp_path) / "folder" / "claim.1"
    start, won = threading.Barrier(16), []

    def try_it(number: int) -> None:
        start.wait()
        if create(file, str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read() == str(won[0]).encode()
    assert len(won) == 1
    assert [entry.name for entry in os.scandir(tmp_path / "folder")] == ["claim.1"], "no temporary files are left"


def test_a_creation_that_nfs_performs_twice_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def link(source: Path, target: Path) -> None:
        real(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")  # the reply to the first request was lost

    monkeypatch.setattr(os, "link", link)
    assert create(Location.of(tmp_path) / "claim.1", b"mine")


def test_a_local_folder_passes_the_probe_and_is_left_as_it_was(tmp_path: Path) -> None:
    assert probe(Location.of(tmp_path)) == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_hard_links_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    assert "rejects exclusive file creation (Operation not permitted)" in probe(Location.of(tmp_path))


def test_a_store_that_ignores_the_condition_does_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwrite(file: Location, content: bytes) -> bool:
        file.write_atomic(content)
        return True

    monkeypatch.setattr(exclusive, "create", overwrite)
    assert "ignores the condition" in probe(Location.of(tmp_path))
    assert list(tmp_path.iterdir()) == []
