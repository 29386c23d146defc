"""Does a study come out the same when whatever runs it is killed again and again?

A seeded run (``CHAOS_SEED``, 0 by default) of real trainings on Ray, with kill -9 at random times of

- a Ray worker: its trial must go on from its last epoch in another worker, or in the next run;
- any other process of that Ray (raylet, GCS, agents): whatever `run` does then, nothing may be lost;
- `run` itself, at any time: while it draws videos, decodes them, starts Ray or trains. It is started again at once,
  while the workers of the one before may still be dying.

At the end the records (times, hosts and attempts aside) and the tables must be those of a run that nothing disturbed, a
finished trial's record must be the very file that was seen first, and no process may be left.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TRIALS, Command, Undisturbed
from processes import Process, descendants, wait_until_gone
from watch import Watch

pytestmark = pytest.mark.chaos

KILLS = 32
WEIGHTS = {"worker": 0.75, "ray": 0.13, "driver": 0.12}
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
        self.runs = 0
        self.ended: list[int] = []
        """Exit codes of runs that came to an end of their own."""
        self.told: list[str] = []

    def rage(self, until_s: float) -> None:
        """Runs and kills until enough was killed, or time is up."""
        end = time.monotonic() + until_s
        while self.killed.total() < KILLS and self.watch.look() < TRIALS and time.monotonic() < end:
            self._one_run(end)

    def _one_run(self, end: float) -> None:
        self.runs += 1
        began = time.time()
        run = self._command.start()
        overdue = self.killed.total() >= KILLS // 2 and not self.watch.finished
        if self._random.random() < BEFORE_TRAINING and not overdue:
            self._pause(run, self._random.uniform(0.2, 6.0))
        else:
            until = min(end, time.monotonic() + (OVERDUE_S if overdue else MOST_CALM_S))
            wanted = self.watch.look() + (1 if self._random.random() < 0.5 or overdue else 0)
            while run.poll() is None and time.monotonic() < until:
                if self._trains(began) and self.watch.look() >= wanted:
                    break
                self._pause(run, 0.1)
        while run.poll() is None and self.killed.total() < KILLS:
            self._pause(run, self._random.expovariate(1 / 0.7))
            kind = self._strike(run)
            if kind == "ray":  # sometimes such a run ends of its own accord; it is not waited for in vain
                self._pause(run, self._random.choice((0.0, 1.0, 3.0, 8.0)))
                self._strike(run, "driver")
        if run.poll() is None:
            self._strike(run, "driver")
        code = run.wait(10)
        self._tell(f"run {self.runs} ended with {code}")
        if code >= 0:
            self.ended.append(code)

    def _strike(self, run: subprocess.Popen[bytes], kind: str | None = None) -> str | None:
        """Kills one process of a run, or all its workers at once; which kind it was."""
        if run.poll() is not None:
            return None
        kind = kind or self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        driver = Process(run.pid, os.getpid(), "run", False)
        below = [process for process in descendants(run.pid) if process.kind == kind and not process.zombie]
        victims = [driver] if kind == "driver" else sorted(below, key=lambda process: process.pid)
        if victims and not (kind == "worker" and self._random.random() < 0.5):
            victims = [self._random.choice(victims)]
        for victim in victims:
            if victim.kill():
                self.killed[kind] += 1
                self._tell(f"run {self.runs}: killed {victim.pid} ({kind}: {victim.name})")
        return kind if victims else None

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
    command = make_command(cache=tmp_path / "cache")  # the data are drawn anew, under fire
    chaos = Chaos(command, seed)
    chaos.rage(until_s=float(os.environ.get("CHAOS_UNTIL_S", "600")))
    survived, under_fire = chaos.story(), len(chaos.watch.finished)
    begins = command.log.stat().st_size
    code = command.start().wait(400)
    chaos.watch.look()
    print(f"seed {seed}: {survived}; ends of its own: {chaos.ended}")
    assert code == 0, command.said(begins)
    assert chaos.killed.total() >= KILLS, survived
    assert under_fire > 0, f"{survived}: a study gets on while it is being killed"
    assert min(chaos.killed.get(kind, 0) for kind in WEIGHTS) > 0, survived
    assert chaos.watch.violations == []
    assert len(chaos.watch.finished) == TRIALS
    undisturbed.assert_same(command.results)
    beats = list((command.results / ".run" / "heartbeats").glob("*"))
    assert beats == [], "a study that is done has no trial under way"
    leftovers = [file for file in (command.results / "checkpoints").rglob("*") if file.is_file()]
    assert {file.name for file in leftovers} == {"best.safetensors"}, leftovers
    left = wait_until_gone(orphanage, 90.0)  # an agent of a Ray whose GCS is dead tries for a minute to tell it so
    assert left == []
    assert "Traceback" not in command.said(), "a kill is no reason to show a traceback"
