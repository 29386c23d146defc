"""Concurrent runs of one study: exactly one proceeds.

Several `run`s of one study start simultaneously in one folder, and another one starts while trials run: exactly one
proceeds, every other run is refused with one message that identifies it, and no trial is started twice. The lock of a
killed `run` does not block the next one.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TRIALS, Command, Undisturbed
from watch import Watch

from agrm_study.records.reader import Ledger

pytestmark = pytest.mark.chaos


def test_of_several_runs_at_once_one_works_and_the_others_are_refused(
    make_command: Callable[..., Command], undisturbed: Undisturbed, tmp_path: Path
) -> None:
    commands = [make_command(log=tmp_path / f"log-{number}") for number in range(3)]
    runs = [command.start() for command in commands]
    watch = Watch(commands[0].results)
    while watch.look() < 1 and any(run.poll() is None for run in runs):
        time.sleep(0.1)
    working = [run for run in runs if run.poll() is None]
    assert len(working) == 1, [command.said() for command in commands]
    late = make_command(log=tmp_path / "late")
    code, said = late.run()
    assert code == 2, said
    assert_refused(said, working[0].pid)
    assert working[0].wait(400) == 0
    for run, command in zip(runs, commands, strict=True):
        if run is not working[0]:
            assert run.wait(10) == 2
            assert_refused(command.said(), working[0].pid)
    assert watch.look() == TRIALS
    assert watch.violations == []
    assert set(Ledger(commands[0].results).trials()["attempt"]) == {1}
    undisturbed.assert_same(commands[0].results)


def assert_refused(said: str, owner: int) -> None:
    assert said.count("error: ") == 1, said
    assert "one run at a time may write to a results folder" in said
    assert f"process {owner} " in said
    assert "Traceback" not in said


def test_the_lock_of_a_killed_run_is_not_in_the_way(make_command: Callable[..., Command]) -> None:
    command = make_command(environment={"CHAOS_EXECUTOR": "inline"})
    watch = Watch(command.results)
    first = command.start()
    while first.poll() is None and watch.look() < 2:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    code, said = command.run()
    assert code == 0, said
    assert watch.look() == TRIALS
    assert watch.violations == []
