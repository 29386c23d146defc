"""A joined run that is suspended just before it writes, and resumes after another run has taken over its trial.

Between the check that its run was not declared dead and the write, no storage can stop the run. What it then writes
comes from one training run, or is detected as damaged: numbers of two training runs are never mixed unnoticed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from suspended_runner import SuspendedRunner

from agrm_study.execution.progress.snapshot import read_snapshot
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.execution.trial.worker import TrialWorker
from agrm_study.plan.expand import expand
from agrm_study.plan.trial import TrialSpec
from agrm_study.records import writer
from agrm_study.records.compaction import compact
from agrm_study.records.exclusive import create, ended_mark
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import broken_trials
from agrm_study.study.study import Study

RUNNER = "suspended_runner:SuspendedRunner"
LAST_EPOCH = 3
STOPS = ("weights", "predictions", "epochs", "trials")
"""What a run writes after the check, in this order."""


class Runs:
    """Two runs, of which the first is suspended at one of `STOPS` and continues when the second has reached another."""

    def __init__(self, results: Path, trial: TrialSpec) -> None:
        self.results, self.trial = results, trial
        self.stops: dict[str, str] = {}  # run → where it stops
        self.reached = {run: threading.Event() for run in ("first", "second")}
        self.wakes = {run: threading.Event() for run in ("first", "second")}
        self.events: dict[str, TrialEvent] = {}
        self.threads: list[threading.Thread] = []

    def at(self, run: str, what: str) -> None:
        if self.stops.get(run) == what:
            self.reached[run].set()
            assert self.wakes[run].wait(20)

    def worker(self, run: str) -> TrialWorker:
        settings = WorkerSettings(results=str(self.results), runner=RUNNER, checkpoint_every_s=0.0, run=run)
        worker = TrialWorker(settings)
        worker.begin(Work(trial=self.trial))
        return worker

    def start(self, run: str, stop: str = "") -> None:
        """Trains the trial in a thread; returns when it has ended or is suspended."""
        self.stops[run] = stop

        def train() -> None:
            worker = self.worker(run)
            while (event := worker.step()).kind == "epoch":
                pass
            self.events[run] = event
            self.reached[run].set()

        self.threads.append(threading.Thread(target=train, name=run))
        self.threads[-1].start()
        assert self.reached[run].wait(20)

    def end(self, run: str) -> None:
        self.wakes[run].set()
        next(thread for thread in self.threads if thread.name == run).join(20)

    def declare_dead(self, run: str) -> None:
        create(ended_mark(Location.of(self.results), run), b"declared dead")


@pytest.fixture
def runs(make_study: Callable[..., Study], results: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    trial = expand(make_study(), lambda recipe: ("data", "split")).trials[0]
    found = Runs(results, trial)
    monkeypatch.setattr(
        SuspendedRunner, "on_save", lambda run, epoch: found.at(run, "weights" if epoch == LAST_EPOCH else "checkpoint")
    )
    put = writer.put_record

    def put_record(records: Location, kind: Any, *args: Any, **options: Any) -> None:
        found.at(threading.current_thread().name, kind)
        put(records, kind, *args, **options)

    monkeypatch.setattr(writer, "put_record", put_record)
    yield found
    for run in found.wakes:
        found.wakes[run].set()
    for thread in found.threads:
        thread.join(20)


def is_of_one_training(results: Path, trial: TrialSpec) -> bool:
    """Whether curve, predictions and weights are those of one training run, as the scripted runner computes them."""
    ledger = Ledger(results)
    epochs = ledger.epochs(trial_ids=[trial.trial_id])
    values = epochs.loc[epochs["split"] == "val", "macro_f1"].to_numpy()
    rows = ledger.predictions(trial_ids=[trial.trial_id])
    if len(values) != LAST_EPOCH or len(rows) != 2:
        return False
    expected = np.array([[0.0, values[0]], [values[-1], 1.0]], dtype=np.float32)
    weights = json.loads((results / "checkpoints" / trial.trial_id / "best.safetensors").read_text())
    return bool(
        np.array_equal(np.stack(list(rows["logits"])), expected)
        and np.array_equal(weights, values)
        and ledger.states()[trial.trial_id].best_epoch == int(np.argmax(values)) + 1
    )


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("stop", STOPS)
def test_a_late_record_is_of_one_training_or_known_to_be_damaged(
    runs: Runs, results: Path, stop: str, merged: bool
) -> None:
    runs.start("first", stop)
    runs.declare_dead("first")
    runs.start("second")
    assert runs.events["second"].kind == "finished"
    assert is_of_one_training(results, runs.trial)
    if merged:
        compact(results, at_least=1)
    runs.end("first")
    broken = broken_trials(Location.of(results), weights=True)
    assert is_of_one_training(results, runs.trial) or runs.trial.trial_id in broken


@pytest.mark.parametrize("second", STOPS)
@pytest.mark.parametrize("first", STOPS)
def test_records_that_two_runs_write_at_once_are_of_one_training_or_known_to_be_damaged(
    runs: Runs, results: Path, first: str, second: str
) -> None:
    runs.start("first", first)
    runs.declare_dead("first")
    runs.start("second", second)
    runs.end("first")
    runs.end("second")
    broken = broken_trials(Location.of(results), weights=True)
    assert is_of_one_training(results, runs.trial) or runs.trial.trial_id in broken


def test_a_late_checkpoint_of_a_finished_trial_is_found_and_a_late_heartbeat_is_ignored(
    runs: Runs, results: Path, make_study: Callable[..., Study], run: Callable[..., RunSummary]
) -> None:
    place, trial_id = Location.of(results), runs.trial.trial_id
    runs.start("first", "checkpoint")
    beat = Heartbeat.read(place, trial_id)
    runs.declare_dead("first")
    runs.start("second")
    runs.end("first")
    assert runs.events["first"].kind == "interrupted"
    assert broken_trials(place, weights=True)[trial_id].what == "weights"
    assert beat is not None
    beat.write(place)
    summary = run(make_study(), as_command=False)
    assert (summary.before, summary.finished) == (1, 3)
    snapshot = read_snapshot(results)
    assert (snapshot.states["finished"], len(snapshot.unfinished)) == (4, 0)
