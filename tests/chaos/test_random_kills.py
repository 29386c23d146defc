"""A study gives the same results when its processes are killed repeatedly.

A seeded run (``CHAOS_SEED``, 0 by default) of real training runs on Ray, with kill -9 at random times of

- a Ray worker: its trial must continue from its last epoch in another worker;
- the driver process, or any other process of its Ray instance (raylet, GCS, agents): the same `run` must continue with
  a new driver process;
- `run` itself, at any time: while it generates videos, decodes them, starts Ray or trains. It is restarted immediately,
  while the processes of the previous run may still be ending. No other failure requires a restart by the user.

At the end, the records (except times, hosts and attempts) and the tables must equal those of an undisturbed run, the
record of a finished trial must be the same file as when it was first seen, and no process, lock or temporary file may
remain.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import EPOCHS, TRIALS, Command, Undisturbed
from processes import Process, descendants, wait_until_gone
from watch import Watch

from agrm_study.execution.results_folder.lock import results_lock
from agrm_study.records.location import Location

pytestmark = pytest.mark.chaos

KILLS = int(os.environ.get("CHAOS_KILLS", "100"))
WEIGHTS = {"worker": 0.7, "driver": 0.15, "ray": 0.15}
LIVES = (3, 20)
"""Kills, at least and at most, that a run sees before it is killed itself."""
FRUITLESS = 2
"""Strikes against driver and Ray in a row, at most, without a new epoch in between: three end the run."""
BEFORE_TRAINING = 0.3
"""Share of the runs that are attacked from their start. Of the others, half are left in peace until they train, half
until they have finished a trial."""
MOST_CALM_S = 40.0
OVERDUE_S = 240.0
"""When half of the kills are done and no trial has finished (on a busy machine), a run is left in peace for so
long, so that the other half meets a study that gets on."""


class Chaos:
    """Kills processes of one `run` after the other, until enough were killed."""

    def __init__(self, command: Command, seed: int) -> None:
        self._command = command
        self._random = random.Random(seed)
        self.watch = Watch(command.results)
        self.killed: Counter[str] = Counter()
        self.runs = self.finished_under_fire = 0
        self._strikes = self._epochs_at_strike = 0
        self.ended: list[int] = []
        """Exit codes of runs that came to an end of their own."""
        self.told: list[str] = []

    def rage(self, until_s: float) -> None:
        """Runs and kills until enough was killed, or time is up."""
        end = time.monotonic() + until_s
        while self.killed.total() < KILLS and self.watch.look() < TRIALS and time.monotonic() < end:
            self._one_run(end)
        if not self.ended:
            run = self._command.start()
            self._calm(run)
            self.ended.append(run.wait(10))

    def _one_run(self, end: float) -> None:
        self.runs += 1
        began = time.time()
        run = self._command.start()
        self._strikes = 0
        overdue = self.killed.total() >= KILLS // 2 and not self.watch.finished
        lives = self.killed.total() + self._random.randint(*LIVES)
        if self._random.random() < BEFORE_TRAINING and not overdue:
            self._pause(run, self._random.uniform(0.2, 6.0))
            lives = self.killed.total() + 1
        else:
            until = min(end, time.monotonic() + (OVERDUE_S if overdue else MOST_CALM_S))
            wanted = self.watch.look() + (1 if self._random.random() < 0.5 or overdue else 0)
            while run.poll() is None and time.monotonic() < until:
                if self._trains(began) and self.watch.look() >= wanted:
                    break
                self._pause(run, 0.1)
        while run.poll() is None and self.killed.total() < min(lives, KILLS) and time.monotonic() < end:
            self._pause(run, self._random.expovariate(1 / 0.7))
            self._strike(run)
        if self.killed.total() < KILLS:
            self._strike(run, "run")
        self._calm(run)
        code = run.wait(10)
        self._tell(f"run {self.runs} ended with {code}")
        if code >= 0:
            self.ended.append(code)

    def _calm(self, run: subprocess.Popen[bytes]) -> None:
        """Lets the last run go on by itself, whatever was done to it."""
        while run.poll() is None:
            self._pause(run, 0.5)

    def _strike(self, run: subprocess.Popen[bytes], kind: str | None = None) -> None:
        """Kills one process of a run, or all its workers at once."""
        if run.poll() is not None:
            return
        kind = kind or self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind in ("driver", "ray"):
            epochs = self._epochs()
            if epochs > self._epochs_at_strike:
                self._strikes = 0
            if self._strikes >= FRUITLESS:
                return
        itself = Process(run.pid, os.getpid(), "run", False)
        below = [process for process in descendants(run.pid) if process.kind == kind and not process.zombie]
        if kind == "worker" and self._random.random() < 0.9:  # Ray waits a minute for one that dies while it starts
            below = [process for process in below if "StudyTrainable" in process.command]
        victims = [itself] if kind == "run" else sorted(below, key=lambda process: process.pid)
        if victims and not (kind == "worker" and self._random.random() < 0.5):
            victims = [self._random.choice(victims)]
        for victim in victims:
            if victim.kill():
                self.killed[kind] += 1
                self.finished_under_fire = len(self.watch.finished)
                self._tell(f"run {self.runs}: killed {victim.pid} ({kind}: {victim.name})")
                if kind in ("driver", "ray"):
                    self._strikes += 1
                    self._epochs_at_strike = epochs

    def _epochs(self) -> int:
        """Epochs that are saved or recorded so far."""
        saved = len(self.watch.finished) * EPOCHS
        for beat in (self._command.results / ".run" / "heartbeats").glob("[!.]*.json"):
            with contextlib.suppress(OSError, ValueError):
                saved += int(json.loads(beat.read_text())["epoch"])
        return saved

    def _tell(self, text: str) -> None:
        self.told.append(f"{time.strftime('%H:%M:%S')} {text}")
        print(self.told[-1], flush=True)

    def _pause(self, run: subprocess.Popen[bytes], seconds: float) -> None:
        """Waits, watching, for at most so long; less when the run ends."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and run.poll() is None:
            self.watch.look()
            time.sleep(min(0.1, left))

    def _trains(self, began: float) -> bool:
        folder = self._command.results / ".run" / "heartbeats"
        beats = list(folder.glob("[!.]*.json")) if folder.exists() else []
        return any(beat.exists() and beat.stat().st_mtime > began for beat in beats)

    def story(self) -> str:
        """What happened, in a line."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.killed.items()))
        return f"{self.runs} runs, {self.killed.total()} kills ({kinds}), {len(self.watch.finished)} trials finished"


def test_a_study_whose_processes_are_killed_at_random_comes_out_as_if_nothing_had_happened(
    undisturbed: Undisturbed, make_command: Callable[..., Command], orphanage: set[int], tmp_path: Path
) -> None:
    seed = int(os.environ.get("CHAOS_SEED", "0"))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = make_command(  # the data are drawn anew, under fire
        cache=tmp_path / "cache", environment={"CHAOS_RETRIES": "100000", "TMPDIR": str(temporary)}
    )
    chaos = Chaos(command, seed)
    chaos.rage(until_s=float(os.environ.get("CHAOS_UNTIL_S", "1500")))
    survived = chaos.story()
    chaos.watch.look()
    print(f"seed {seed}: {survived}; ends of its own: {chaos.ended}")
    assert chaos.ended == [0], command.said()[-5000:]
    assert chaos.killed.total() >= KILLS, survived
    assert chaos.finished_under_fire > 0, f"{survived}: a study gets on while it is being killed"
    assert min(chaos.killed.get(kind, 0) for kind in (*WEIGHTS, "run")) > 0, survived
    assert chaos.watch.violations == []
    assert len(chaos.watch.finished) == TRIALS
    undisturbed.assert_same(command.results)
    beats = list((command.results / ".run" / "heartbeats").glob("*"))
    assert beats == [], "a study that is done has no trial under way"
    leftovers = [file for file in (command.results / "checkpoints").rglob("*") if file.is_file()]
    assert {file.name for file in leftovers} == {"best.safetensors"}, leftovers
    assert wait_until_gone(orphanage, 5.0) == []
    assert [file for file in temporary.rglob("*") if file.is_file()] == []
    assert [file for file in command.results.rglob("*") if file.name.endswith((".tmp", ".stop"))] == []
    with results_lock(Location.of(command.results), "chaos"):
        pass
    assert "Traceback" not in command.said(), "a kill is no reason to show a traceback"
