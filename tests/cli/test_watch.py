"""Does `watch` show from the results folder alone what is there, and end when nothing is left?"""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from agrm_study.cli.app import app
from agrm_study.execution.options import RunOptions
from agrm_study.execution.progress.snapshot import Snapshot, Watcher
from agrm_study.execution.progress.view import NoView
from agrm_study.execution.progress.watching import WatchLines, WatchPicture, summary_words
from agrm_study.execution.results_folder.lock import results_lock
from agrm_study.execution.run import run_study
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError
from agrm_study.study.load import load_study

EXECUTION = Path(__file__).parents[1] / "execution"


class NamedData:
    """Takes the place of `Prepared`."""

    def fingerprints(self, recipe: object) -> tuple[str, str]:
        return "data", "split"

    def manifest_path(self, recipe: object) -> str:
        return ""

    def store_path(self, recipe: object) -> str:
        return ""

    def data(self) -> dict[str, int]:
        return {}

    def subjects(self) -> dict[str, list[dict[str, object]]]:
        return {}

    def provenance(self) -> dict[str, dict[str, str]]:
        return {}


class Looking(NoView):
    """Looks at the folder from outside at a moment of the run."""

    def __init__(self, results: Path, stop: bool) -> None:
        self.watcher, self.stop, self.sights = Watcher(results), stop, list[Snapshot]()

    def event(self, event: TrialEvent, trial: object) -> None:
        if event.kind == "epoch" and event.epoch == 2:
            self.sights.append(self.watcher.look())
            if self.stop:
                os.kill(os.getpid(), signal.SIGINT)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *, stop: bool = False) -> tuple[Path, list[Snapshot]]:
    monkeypatch.setattr("agrm_study.execution.run.prepare", lambda *args, **named: NamedData())
    monkeypatch.syspath_prepend(str(EXECUTION))
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
    return results, view.sights


def drawn(sight: Snapshot) -> str:
    console = Console(file=io.StringIO(), width=110, height=40, force_terminal=False)
    picture = WatchPicture(console)
    picture.show(sight)
    console.print(picture.picture())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_while_it_runs_and_after_it_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, sights = run(tmp_path, monkeypatch)
    second = sights[1]
    assert second.progress is not None
    assert (second.left, second.over) == (3, False)
    assert second.progress.counts().running == 1
    text = drawn(second)
    assert f"run by process {os.getpid()}" in text
    assert "▸ B · seed 0" in text
    assert "1 of 4 trials" in text
    last = Watcher(results).look()
    assert last.over
    assert "4 of 4 trials" in drawn(last)
    assert last.progress is not None
    assert all(trial.metric is not None for trial in last.progress.trials.values())
    done = CliRunner().invoke(app, ["watch", str(results)], standalone_mode=False)
    assert done.return_value == 0
    assert done.stderr.endswith("4 of 4 trials finished\n")


def test_nobody_running_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, _ = run(tmp_path, monkeypatch, stop=True)
    sight = Watcher(results).look()
    assert (sight.owner, sight.over, sight.left) == (None, False, 4)
    assert "nobody is running it; the `agrm-study run` that began it goes on with them" in summary_words(sight)
    done = CliRunner().invoke(app, ["watch", str(results), "--once"], standalone_mode=False)
    assert done.return_value == 1


def test_a_first_run_that_still_prepares_its_data_is_waited_for(tmp_path: Path) -> None:
    with results_lock(Location.of(tmp_path), "study"):
        sight = Watcher(tmp_path).look()
        assert not sight.over
        assert "Data are being prepared" in drawn(sight)
    with pytest.raises(InputError, match=r"no plan\.json"):
        Watcher(tmp_path).look()


def test_without_a_terminal_there_is_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    lines = WatchLines(stream)
    clock = iter([0.0, 2.0, 59.0, 61.0, 63.0])
    monkeypatch.setattr("agrm_study.execution.progress.watching.time.monotonic", lambda: next(clock))
    for _ in range(5):
        lines.show(Snapshot({"pid": 1, "host": "here"}))
    assert stream.getvalue().count("Data are being prepared, run by process 1 on here\n") == 2
