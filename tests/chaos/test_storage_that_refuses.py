"""Messages and saved results of `run` when the results cannot be written.

A small tmpfs (mounted by root; skipped for others) holds the results of a study with real training runs.

- It is full before the run: no trial starts, and one message states the reason.
- It fills up while trials run: finished trials remain; after a few failures no further trials are started; once
  space is available, the same command finishes the study without rerunning finished trials.
- It is read-only: one message, and the ledger is unchanged.

The exit code is 1 or 2, no internal error is reported, and no traceback is shown.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TRIALS, Command, Undisturbed
from watch import Watch

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(
        os.name != "posix" or os.geteuid() != 0 or not shutil.which("mount"), reason="mounting needs root"
    ),
]

DISK_MB = 16


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of some megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "chaos", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(disk: Path) -> Path:
    """Takes all room that is left."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


def assert_told_in_words(said: str) -> None:
    assert "Traceback" not in said
    assert "internal error" not in said
    assert said.count("error: ") <= 1, said


def test_a_disk_that_is_full_from_the_start_is_one_message(make_command: Callable[..., Command], disk: Path) -> None:
    command = make_command(results=disk / "results")
    fill(disk)
    code, said = command.run()
    assert code == 2, said
    assert_told_in_words(said)
    assert "No space left on device" in said


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_disk_that_fills_up_keeps_what_had_finished_and_the_study_goes_on_when_there_is_room(
    make_command: Callable[..., Command], disk: Path, undisturbed: Undisturbed, executor: str
) -> None:
    command = make_command(results=disk / "results", environment={"CHAOS_EXECUTOR": executor})
    watch = Watch(command.results)
    run = command.start()
    while run.poll() is None and watch.look() < 2:
        time.sleep(0.05)
    ballast = fill(disk)
    kept = watch.look()
    while run.poll() is None:
        with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:  # room that was given back
            while True:
                file.write(bytes(4096))
        time.sleep(0.05)
    said = command.said()
    assert run.returncode == 1, said
    assert_told_in_words(said)
    assert said.count("no further trials are started") <= 2, said  # once while it runs; the summary may repeat it
    assert said.count("storage: ") <= 2 * 4, said  # at most three trials, and those that were running
    assert 2 <= kept <= watch.look() < TRIALS
    ballast.unlink()
    code, said = command.run()
    assert code == 0, said
    assert watch.look() == TRIALS
    assert watch.violations == []
    undisturbed.assert_same(command.results)


def test_results_that_are_read_only_are_one_message_and_stay_as_they_were(
    make_command: Callable[..., Command], disk: Path, undisturbed: Undisturbed
) -> None:
    command = make_command(results=disk / "results", environment={"CHAOS_EXECUTOR": "inline"})
    run = command.start()
    watch = Watch(command.results)
    while run.poll() is None and watch.look() < 3:
        time.sleep(0.05)
    run.terminate()
    assert run.wait(60) == 130
    before = {file: file.stat().st_mtime_ns for file in command.results.rglob("*")}
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, said = command.run()
    assert code == 2, said
    assert_told_in_words(said)
    assert "the results folder must be writable" in said
    assert {file: file.stat().st_mtime_ns for file in command.results.rglob("*")} == before
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    code, said = command.run()
    assert code == 0, said
    assert watch.look() == TRIALS
    assert watch.violations == []
    undisturbed.assert_same(command.results)
