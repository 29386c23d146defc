"""A trial that waits for its data is shown as waiting, can be stopped, and gives the same result."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from scripted_runner import journal
from test_run_inline import Watcher

from agrm_study.execution.data import node_store
from agrm_study.execution.data.node_store import Arrival
from agrm_study.execution.progress import lines as lines_module
from agrm_study.execution.progress.lines import LinesView
from agrm_study.execution.progress.live import LiveView
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.status import StudyStatus, status
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.plan.expand import expand
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]


def test_a_store_that_is_read_in_place_is_there_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(node_store.LOCAL_VARIABLE, raising=False)
    assert Arrival(str(tmp_path / "store"), "").wait(0.0) == ""


def test_a_copy_under_way_tells_its_size_and_then_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said, go_on = threading.Event(), threading.Event()

    def slow(store: str, local: str, on_bytes: node_store.OnBytes) -> Path:
        on_bytes(1_250_000_000, 12_400_000_000)
        said.set()
        assert go_on.wait(20)
        return tmp_path

    monkeypatch.setattr(node_store, "node_store", slow)
    arrival = Arrival("s3://bucket/store", str(tmp_path))
    assert said.wait(20)
    assert arrival.wait(0.01) == "copying clips, 1.25 of 12.40 GB"
    go_on.set()
    assert arrival.wait(20.0) == ""


def test_a_copy_that_cannot_be_made_is_a_fault_of_the_trial(tmp_path: Path) -> None:
    arrival = Arrival(str(tmp_path / "none"), str(tmp_path / "node"))
    with pytest.raises(InputError, match="no finished clip store"):
        arrival.wait(20.0)


def test_a_trial_waits_visibly_and_trains_as_if_it_had_not(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    seen: list[StudyStatus] = []

    def look(event: TrialEvent) -> None:
        if event.kind == "preparing":
            seen.append(status(results))

    script(A={"copies": 3})
    watcher = Watcher(look)
    assert run(make_study({"A": 0.5}, seeds=1), view=watcher).exit_code == 0
    assert [(e.kind, e.note, e.epoch) for e in watcher.events] == [
        ("started", "", 0),
        ("preparing", "copying 1 of 3", 0),
        ("preparing", "copying 2 of 3", 0),
        ("preparing", "copying 3 of 3", 0),
        ("epoch", "", 1),
        ("epoch", "", 2),
        ("finished", "", 3),
    ]
    assert watcher.events[-1].attempt == 1
    assert [found.running[0].note for found in seen] == [f"copying {n} of 3" for n in (1, 2, 3)]
    assert journal(results) == ["start A 0", "close A 0"]


def test_a_trial_that_waits_stops_when_asked_and_keeps_what_it_had(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    def interrupt(kind: str) -> Callable[[TrialEvent], None]:
        return lambda event: os.kill(os.getpid(), signal.SIGINT) if event.kind == kind else None

    study = make_study({"A": 0.5}, seeds=1)
    script(A={"epochs": 5})
    assert run(study, view=Watcher(interrupt("epoch"))).exit_code == 130
    script(A={"epochs": 5, "copies": 100})
    waiting = Watcher(interrupt("preparing"))
    assert run(study, view=waiting).exit_code == 130
    assert [event.kind for event in waiting.events] == ["started", "preparing", "interrupted"]
    script(A={"epochs": 5})
    again = Watcher()
    assert run(study, view=again).exit_code == 0
    assert (again.events[-1].resumed, again.events[-1].attempt) == (2, 3)


def test_what_is_waited_for_is_shown_and_in_a_log_now_and_then(
    make_study: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study({"A": 0.5}, seeds=1)
    plan = expand(study, lambda recipe: ("data", "split"))
    progress = StudyProgress.of(study, plan.cells, {})
    stream, now = io.StringIO(), 0.0
    lines = LinesView(stream)
    picture = LiveView(Console(width=120, file=io.StringIO()))
    monkeypatch.setattr(lines_module.time, "monotonic", lambda: now)
    for view in (lines, picture):
        view.begin(progress)
    for second in range(40):
        now = 100.0 + second
        note = f"copying clips, {second}.00 of 40.00 GB"
        event = TrialEvent(kind="preparing", trial_id=plan.trials[0].trial_id, host="node7", note=note)
        trial = progress.apply(event)
        lines.event(event, trial)
        picture.event(event, trial)
    told = [line.partition("  ")[2] for line in stream.getvalue().splitlines() if "copying" in line]
    assert told == [f"node7: copying clips, {second}.00 of 40.00 GB" for second in (0, 15, 30)]
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(picture.picture())
    assert "copying clips, 39.00 of 40.00 GB" in console.export_text()
