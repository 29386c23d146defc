"""`watch` displays a study from its results folder alone, and ends when the study has ended."""

from __future__ import annotations

import io
import os
import re
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from agrm_study.cli.app import app
from agrm_study.execution.options import RunOptions
from agrm_study.execution.progress.snapshot import Snapshot, SnapshotReader
from agrm_study.execution.progress.status import status
from agrm_study.execution.progress.view import View
from agrm_study.execution.progress.watching import WatchLines, WatchPicture, summary_words
from agrm_study.execution.results_folder.lock import results_lock
from agrm_study.execution.run import run_study
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study

EXECUTION = Path(__file__).parents[1] / "execution"


class Looking(View):
    """Looks at the folder from outside at a moment of the run."""

    def __init__(self, results: Path, stop: bool) -> None:
        self.reader, self.stop, self.snapshots = SnapshotReader(results), stop, list[Snapshot]()

    def event(self, event: TrialEvent, trial: object) -> None:
        if event.kind == "epoch" and event.epoch == 2:
            self.snapshots.append(self.reader.read())
            if self.stop:
                os.kill(os.getpid(), signal.SIGINT)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *, stop: bool = False) -> tuple[Path, list[Snapshot]]:
    monkeypatch.syspath_prepend(str(EXECUTION))
    from named_data import NamedData

    monkeypatch.setattr("agrm_study.execution.run.prepare", lambda *args, **named: NamedData())
    file = folder / "study.yaml"
    file.write_text(
        "name: study\nquestion: Which arm?\nbase: agrm\ntasks: [two_class]\nseeds: [0, 1]\n"
        "data: {synthetic: {subjects: 6}}\nset: {epochs: 4, ssl.pretrain_epochs: 1}\n"
        "arms: [{name: A}, {name: B, set: {ssl.ema.alpha: 0.5}}]\nreference: A\n"
    )
    results = folder / "results"
    results.mkdir()
    (results / "script.json").write_text('{"*": {"epochs": 4}}')
    view = Looking(results, stop)
    options = RunOptions(
        results=results, executor="inline", runner="scripted_runner:ScriptedRunner", checkpoint_every_s=0
    )
    run_study(load_study(file), options, view=view)
    return results, view.snapshots


def drawn(snapshot: Snapshot) -> str:
    console = Console(file=io.StringIO(), width=110, height=40, force_terminal=False)
    picture = WatchPicture(console)
    picture.show(snapshot)
    console.print(picture.picture())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_while_it_runs_and_after_it_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, snapshots = run(tmp_path, monkeypatch)
    second = snapshots[1]
    assert second.progress is not None
    assert (second.left, second.over) == (3, False)
    assert second.progress.counts().running == 1
    text = drawn(second)
    assert f"run by process {os.getpid()}" in text
    assert "▸ B · seed 0" in text
    assert "1 of 4 trials" in text
    last = SnapshotReader(results).read()
    assert last.over
    assert "4 of 4 trials" in drawn(last)
    assert last.progress is not None
    assert all(trial.metric is not None for trial in last.progress.trials.values())
    done = CliRunner().invoke(app, ["watch", str(results)], standalone_mode=False)
    assert done.return_value == 0
    assert re.search(r"4 of 4 trials finished, [0-9.e-]+ CPU-hours used\n$", done.stderr)


def test_a_study_that_nobody_runs_shows_how_to_resume_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, _ = run(tmp_path, monkeypatch, stop=True)
    snapshot = SnapshotReader(results).read()
    assert (snapshot.owner, snapshot.over, snapshot.left) == (None, False, 4)
    assert "not running; rerun the same `agrm-study run` to resume" in summary_words(snapshot)
    done = CliRunner().invoke(app, ["watch", str(results), "--once"], standalone_mode=False)
    assert done.return_value == 1


def test_a_first_run_that_still_prepares_its_data_is_waited_for(tmp_path: Path) -> None:
    with results_lock(Location.of(tmp_path), "study"):
        snapshot = SnapshotReader(tmp_path).read()
        assert not snapshot.over
        assert "Preparing data" in drawn(snapshot)
        shown = status(tmp_path)
        assert (shown.total, shown.waiting, shown.arms) == (0, 0, ())
        assert shown.active is not None
    with pytest.raises(InputError, match=r"no plan\.json"):
        SnapshotReader(tmp_path).read()


def test_without_a_terminal_there_is_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    lines = WatchLines(stream)
    clock = iter([0.0, 2.0, 59.0, 61.0, 63.0])
    monkeypatch.setattr("agrm_study.execution.progress.watching.time.monotonic", lambda: next(clock))
    for _ in range(5):
        lines.show(Snapshot(results="here", owner={"pid": 1, "host": "here"}))
    assert stream.getvalue().count("Preparing data, run by process 1 on here\n") == 2
