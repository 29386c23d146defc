"""A run that is interrupted at any moment of its start ends promptly and leaves nothing behind.

The command receives a SIGINT or SIGHUP at a random time between its first line of output and shortly after the start of
its first worker (seed: ``CHAOS_SEED``; number of repetitions: ``CHAOS_INTERRUPTS``). It must end within a minute and
leave nothing behind; a final undisturbed run gives the results of a study that was never interrupted.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from conftest import TRIALS, Command, Undisturbed
from processes import wait_until_gone
from watch import Watch

pytestmark = pytest.mark.chaos

INTERRUPTS = int(os.environ.get("CHAOS_INTERRUPTS", "100"))
END_S = 60.0
"""Seconds in which an interrupted run must have ended; also on a machine that others keep busy."""


def wait_for_first_line(command: Command, run: subprocess.Popen[bytes], begins: int) -> None:
    while run.poll() is None and command.log.stat().st_size == begins:
        time.sleep(0.01)


def trains(command: Command) -> bool:
    """Whether a worker has given a sign of life just now."""
    for beat in (command.results / ".run" / "heartbeats").glob("[!.]*.json"):
        with contextlib.suppress(FileNotFoundError):
            if beat.stat().st_mtime > time.time() - 0.2:
                return True
    return False


def test_a_run_that_is_interrupted_while_it_starts_ends_soon_and_leaves_nothing_behind(
    undisturbed: Undisturbed, make_command: Callable[..., Command], orphanage: set[int]
) -> None:
    dice = random.Random(int(os.environ.get("CHAOS_SEED", "0")))
    command = make_command()
    watch = Watch(command.results)
    command.log.touch()
    start_s = 15.0  # until workers have come, as the last run that got so far took it
    slow: list[str] = []
    for number in range(INTERRUPTS):
        begins = command.log.stat().st_size
        run = command.start()
        wait_for_first_line(command, run, begins)
        began = time.monotonic()
        moment, sign = dice.uniform(0.0, 1.3 * start_s), dice.choice((signal.SIGINT, signal.SIGINT, signal.SIGHUP))
        while run.poll() is None and time.monotonic() - began < moment:
            if trains(command):
                start_s = 0.5 * start_s + 0.5 * (time.monotonic() - began)
                moment = min(moment, time.monotonic() - began + dice.uniform(0.0, 1.0))
            time.sleep(0.02)
        run.send_signal(sign)
        asked = time.monotonic()
        code = run.wait(4 * END_S)
        took = time.monotonic() - asked
        said = command.said(begins)
        print(f"{number}: {sign.name} after {moment:.2f} s, ended with {code} after {took:.1f} s", flush=True)
        if took > END_S:
            slow.append(f"{number}: {took:.0f} s after {moment:.2f} s\n{said}")
        assert code in (130, 0), said
        assert "Traceback" not in said
        assert wait_until_gone(orphanage, 5.0) == [], said
        watch.look()
        if code == 0:
            break
    assert slow == []
    code, said = command.run()
    assert code == 0, said
    assert watch.look() == TRIALS
    assert watch.violations == []
    undisturbed.assert_same(command.results)
