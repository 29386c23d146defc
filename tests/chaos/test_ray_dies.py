"""A run recovers by itself when its driver process or a component of its Ray instance dies.

The raylet, the GCS or the driver process is killed while Ray starts or while trials train. `run` starts a new driver
process, prints the reason in one line, ends with exit code 0, and does not rerun finished trials.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest
from conftest import TRIALS, Command, Undisturbed
from processes import Process, descendants, wait_until_gone
from watch import Watch

pytestmark = pytest.mark.chaos


def part_of(run: subprocess.Popen[bytes], name: str) -> list[Process]:
    return [process for process in descendants(run.pid) if name in (process.name, process.kind) and not process.zombie]


@pytest.mark.parametrize("part", ["raylet", "gcs_server", "driver"])
@pytest.mark.parametrize("when", ["starts", "trains"])
def test_a_run_goes_on_by_itself_when_a_part_dies_without_which_no_trial_runs(
    make_command: Callable[..., Command], undisturbed: Undisturbed, orphanage: set[int], part: str, when: str
) -> None:
    command = make_command()
    watch = Watch(command.results)
    run = command.start()
    wanted = 0 if when == "starts" else 1
    while run.poll() is None and not (watch.look() >= wanted and part_of(run, part)):
        time.sleep(0.02)
    assert [process.kill() for process in part_of(run, part)] == [True]
    while run.poll() is None:
        watch.look()
        time.sleep(0.1)
    said = command.said()
    assert run.returncode == 0, said
    assert said.count("A new driver process takes over.") == 1, said
    words = {"driver": "it was killed by SIGKILL"}.get(part, part)
    assert words in said or "Ray could not be started on this machine" in said
    assert "Traceback" not in said
    assert watch.look() == TRIALS
    assert watch.violations == []
    undisturbed.assert_same(command.results)
    assert wait_until_gone(orphanage, 5.0) == []
