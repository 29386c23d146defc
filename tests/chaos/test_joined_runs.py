"""Joined runs that are killed at random leave the records of one undisturbed run.

Up to 30 inline runs of sleeping trials, which are replaced by other runs if they are killed or suspended past their
lease (seed: ``CHAOS_SEED``), eight runs with real training, and two on Ray.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import HERE, TRIALS, Command, Undisturbed, records
from watch import Watch

from agrm_study.execution.results_folder.leases import living
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

pytestmark = pytest.mark.chaos
LEASE_S = 6.0
EVERY = 5
"""Trials that finish between two disturbances."""
JOIN = ("--join", "--slots", "1", "--no-report")


class Sleeping:
    """Joined runs of trials that sleep."""

    def __init__(self, folder: Path, *, arms: int, seeds: int, epoch_s: float, epochs: int = 4) -> None:
        self.results = folder / "results"
        self.results.mkdir(parents=True)
        self.trials = arms * seeds
        (self.results / "script.json").write_text(json.dumps({"*": {"epoch_s": epoch_s, "epochs": epochs}}))
        self._words = [sys.executable, str(HERE / "sleeping_run.py"), str(self.results), str(arms), str(seeds)]
        self._log = folder / "log"
        self.runs: list[subprocess.Popen[bytes]] = []

    def start(self, count: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CHAOS_LEASE_S": str(LEASE_S)}
        for _ in range(count):
            with self._log.open("ab") as log:
                self.runs.append(
                    subprocess.Popen(self._words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
                )

    def living(self) -> list[subprocess.Popen[bytes]]:
        return [run for run in self.runs if run.poll() is None]

    def joined(self) -> list[subprocess.Popen[bytes]]:
        """Living runs that have joined; others are still loading their modules."""
        pids = {member.pid for member in living(Location.of(self.results))}
        return [run for run in self.living() if run.pid in pids]

    def finished(self) -> int:
        with contextlib.suppress(OSError):
            return len(list((self.results / "records" / "trials").glob("[!.]*.parquet")))
        return 0

    def summaries(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")[-5000:]


def sleeping_records(results: Path) -> dict[str, pd.DataFrame]:
    """Records without subjects, which a study without data lacks."""
    found = {kind: rows for kind, rows in records(results).items() if kind != "subjects"}
    return found | {"trials": found["trials"].astype(str)}


@pytest.fixture
def alone(tmp_path: Path) -> Callable[[int, int], dict[str, pd.DataFrame]]:
    """The records of one run of sleeping trials that do not sleep."""

    def make(arms: int, seeds: int) -> dict[str, pd.DataFrame]:
        study = Sleeping(tmp_path / "alone", arms=arms, seeds=seeds, epoch_s=0.0)
        study.start(1)
        assert study.runs[0].wait(300) == 0, study.said
        return sleeping_records(study.results)

    return make


@pytest.mark.parametrize(("runs", "arms"), [(8, 24), (30, 60)])
def test_runs_that_share_a_study_train_each_trial_once(
    runs: int, arms: int, alone: Callable[[int, int], dict[str, pd.DataFrame]], tmp_path: Path, orphanage: set[int]
) -> None:
    study = Sleeping(tmp_path / "joined", arms=arms, seeds=4, epoch_s=0.2)
    study.start(runs)
    assert [run.wait(500) for run in study.runs] == [0] * runs, study.said
    undisturbed = alone(arms, 4)
    for kind, rows in sleeping_records(study.results).items():
        pd.testing.assert_frame_equal(rows, undisturbed[kind])
    starts = Counter(line for line in (study.results / "journal").read_text().splitlines() if line[:5] == "start")
    assert max(starts.values()) == 1
    assert len(starts) == study.trials
    assert sum(bool(summary["reports"]) for summary in study.summaries()) == 1
    assert sum(int(str(summary["finished"])) for summary in study.summaries()) == study.trials
    assert "Traceback" not in study.said


def test_runs_that_are_killed_suspended_and_replaced_at_random_leave_the_records_of_one(
    alone: Callable[[int, int], dict[str, pd.DataFrame]], tmp_path: Path, orphanage: set[int]
) -> None:
    chance = random.Random(int(os.environ.get("CHAOS_SEED", "0")))
    study = Sleeping(tmp_path / "joined", arms=30, seeds=4, epoch_s=0.5)
    study.start(8)
    done: Counter[str] = Counter()
    asleep: list[tuple[float, subprocess.Popen[bytes]]] = []
    kinds: list[str] = []
    next_at = 1
    end = time.monotonic() + 400
    while study.finished() < study.trials - 8 and time.monotonic() < end:
        time.sleep(chance.uniform(0.1, 0.5))
        for wakes, run in list(asleep):
            if time.monotonic() >= wakes:
                asleep.remove((wakes, run))
                run.send_signal(signal.SIGCONT)
        awake = [run for run in study.joined() if all(run is not other for _, other in asleep)]
        if len(awake) > 2 and study.finished() >= next_at:  # paced by trials, however slow the machine is
            next_at = study.finished() + EVERY
            kinds = kinds or chance.sample(["kill", "term", "sleep"], 3)
            victim, what = chance.choice(awake), kinds.pop()
            done[what] += 1
            if what == "sleep":
                victim.send_signal(signal.SIGSTOP)
                asleep.append((time.monotonic() + 3 * LEASE_S, victim))
            else:
                victim.send_signal(signal.SIGKILL if what == "kill" else signal.SIGTERM)
        if len(study.living()) < 8:
            study.start(1)
    for _, run in asleep:
        run.send_signal(signal.SIGCONT)
    codes = [run.wait(300) for run in study.runs]
    if study.finished() < study.trials:  # those that ended before a run died that held the last trials
        study.start(1)
        assert study.runs[-1].wait(300) == 0, study.said
    print(f"{done}, exit codes {Counter(codes)}")
    assert set(codes) <= {0, -signal.SIGKILL, -signal.SIGTERM, 130}, study.said
    assert min(done[what] for what in ("kill", "term", "sleep")) > 2
    undisturbed = alone(30, 4)
    for kind, rows in sleeping_records(study.results).items():
        pd.testing.assert_frame_equal(rows, undisturbed[kind])
    starts = Counter(line for line in (study.results / "journal").read_text().splitlines() if line[:5] == "start")
    assert sum(starts.values()) <= study.trials + done.total(), "a trial starts again only where a run was disturbed"
    assert "Traceback" not in study.said


def test_eight_runs_of_real_trainings_with_kills_leave_the_tables_of_one(
    undisturbed: Undisturbed, make_command: Callable[..., Command], tmp_path: Path
) -> None:
    chance = random.Random(int(os.environ.get("CHAOS_SEED", "0")))
    environment = {"CHAOS_EXECUTOR": "inline", "CHAOS_LEASE_S": "20"}
    command = make_command(options=JOIN, environment=environment)
    runs = [command.start() for _ in range(8)]
    watch, killed = Watch(command.results), 0
    while any(run.poll() is None for run in runs):
        time.sleep(0.5)
        living = [run for run in runs if run.poll() is None]
        if killed < 5 and watch.look() > killed // 2 and len(living) > 2:
            chance.choice(living).kill()
            killed += 1
            runs.append(command.start())
    if watch.look() < TRIALS:
        assert command.run()[0] == 0, command.said()
    assert killed >= 3
    assert watch.violations == []
    undisturbed.assert_same(command.results)
    assert "Traceback" not in command.said()


def test_two_runs_on_ray_leave_the_tables_of_one(
    undisturbed: Undisturbed, make_command: Callable[..., Command]
) -> None:
    command = make_command(options=JOIN)
    watch = Watch(command.results)
    runs = [command.start() for _ in range(2)]
    assert [run.wait(500) for run in runs] == [0, 0], command.said()
    assert watch.look() == TRIALS
    assert watch.violations == []
    assert set(Ledger(command.results).trials()["attempt"]) == {1}
    undisturbed.assert_same(command.results)
    assert "Traceback" not in command.said()
