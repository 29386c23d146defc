"""Files left behind by a killed process are distinguished from files in use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agrm_study.study import temporary
from agrm_study.study.temporary import OWNER, folder_in, private_folder, remove_abandoned, replacing, temporary_folder

WRITER = """
import sys, time
from pathlib import Path
from agrm_study.study.temporary import folder_in, replacing
place = Path(sys.argv[1])
with folder_in(place, "stage") as folder, replacing(place / "record") as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is writing a file and a folder."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_what_a_process_writes_stays_until_it_is_gone(tmp_path: Path, writer: subprocess.Popen[str]) -> None:
    written = sorted(entry.name for entry in tmp_path.iterdir())
    assert [name.split(".")[1] for name in written] == ["record", "stage"]
    remove_abandoned(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == written
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_names_of_this_package_are_removed_and_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("kept")
    place = tmp_path / "place"
    place.mkdir()
    for name in (
        "record",
        ".record",
        ".record.tmp",
        "record.12345678.tmp",
        ".record.1234.tmp",
        ".record.12345678.tmp.x",
    ):
        (place / name).write_text("kept")
    (place / ".link.12345678.tmp").symlink_to(elsewhere)
    (place / ".link.12345679.tmp").symlink_to(elsewhere / "file")
    kept = sorted(place.iterdir())
    (place / ".record.12345678.tmp").write_text("of a version without locks")
    remove_abandoned(place)
    assert sorted(place.iterdir()) == kept
    assert (elsewhere / "file").read_text() == "kept"
    remove_abandoned(tmp_path / "nothing")


def test_a_folder_that_is_just_being_made_is_left_until_its_owner_would_have_locked_it(tmp_path: Path) -> None:
    folder = tmp_path / ".stage.12345678.tmp"
    folder.mkdir()
    remove_abandoned(tmp_path)
    assert folder.exists()
    os.utime(folder, (0, 0))
    remove_abandoned(tmp_path)
    assert not folder.exists()


def test_a_file_that_was_taken_for_abandoned_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks: list[int] = []
    lock = temporary.fcntl.flock

    def cleaner_comes_first(descriptor: int, operation: int) -> None:
        if not locks:
            next(tmp_path.glob(".record.*")).unlink()
        locks.append(descriptor)
        lock(descriptor, operation)

    monkeypatch.setattr(temporary.fcntl, "flock", cleaner_comes_first)
    with replacing(tmp_path / "record") as file:
        file.write(b"whole")
    assert len(locks) == 2
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("record", b"whole")]


def test_storage_without_locks_can_be_written_and_nothing_is_removed_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(temporary.fcntl, "flock", unsupported)
    (tmp_path / ".other.12345678.tmp").write_text("perhaps being written on another host")
    with replacing(tmp_path / "record") as file, folder_in(tmp_path, "stage") as folder:
        file.write(b"whole")
        remove_abandoned(tmp_path)
        assert (folder / OWNER).exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".other.12345678.tmp", "record"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The machine's folder for temporary files, empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_temporary_folder_is_this_users_alone_and_gone_afterwards(machine: Path) -> None:
    (machine / f"agrm-study-{os.getuid()}").mkdir(0o755)
    with temporary_folder("study") as folder:
        assert folder.parent == private_folder() == machine / f"agrm-study-{os.getuid()}"
        assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("trap", "why"),
    [
        (lambda folder, target: folder.symlink_to(target), "is a link"),
        (lambda folder, target: folder.write_text(""), "is a link or a file"),
    ],
)
def test_a_link_in_the_place_of_a_temporary_folder_is_not_followed(
    machine: Path, trap: Callable[[Path, Path], object], why: str
) -> None:
    target = machine / "target"
    target.mkdir()
    trap(machine / f"agrm-study-{os.getuid()}", target)
    with pytest.raises(PermissionError, match=f"{why}.*set TMPDIR"), temporary_folder("study"):
        pass
    assert list(target.iterdir()) == []


def test_a_temporary_folder_of_another_user_is_refused(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary.os, "getuid", lambda: 4_000_000)  # this process makes the folder of that user
    with pytest.raises(PermissionError, match="belongs to another user"):
        private_folder()


def test_a_folder_that_was_moved_away_leaves_nothing(tmp_path: Path) -> None:
    with folder_in(tmp_path, "stage") as folder:
        (folder / "state").write_text("whole")
        shutil.move(folder, tmp_path / "stage")
    assert [entry.name for entry in tmp_path.iterdir()] == ["stage"]
