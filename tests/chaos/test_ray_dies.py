"""What does `run` say when a part of its own Ray dies without which no trial goes on?

The raylet or the GCS is killed, while Ray starts or while trials train. `run` ends within seconds, with exit code 1 and
one message of its own; the next run ends the study and runs nothing again that had finished.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest
from conftest import TRIALS, Command, Undisturbed
from processes import Process, descendants
from watch import Watch

pytestmark = pytest.mark.chaos


def part_of(run: subprocess.Popen[bytes], name: str) -> list[Process]:
    return [process for process in descendants(run.pid) if process.name == name and not process.zombie]


@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
@pytest.mark.parametrize("when", ["starts", "trains"])
def test_a_ray_that_dies_ends_the_run_with_one_message_and_the_next_run_goes_on(
    make_command: Callable[..., Command], undisturbed: Undisturbed, part: str, when: str
) -> None:
    command = make_command()
    watch = Watch(command.results)
    run = command.start()
    wanted = 0 if when == "starts" else 1
    while run.poll() is None and not (watch.look() >= wanted and part_of(run, part)):
        time.sleep(0.02)
    assert [process.kill() for process in part_of(run, part)] == [True]
    code = run.wait(45)
    said = command.said()
    assert code == 1, said
    words = f"Ray has ended on this machine ({part} died)", "Ray could not be started on this machine"
    assert sum(said.count(word) for word in words) == 1, said
    assert said.count("What had finished is kept; the same command goes on") == 1, said
    assert "Traceback" not in said
    assert watch.look() < TRIALS
    code, said = command.run()
    assert code == 0, said
    assert watch.look() == TRIALS
    assert watch.violations == []
    undisturbed.assert_same(command.results)
