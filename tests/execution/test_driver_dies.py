"""A run survives the death of its driver process and its Ray instance, and ends when it should."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from named_data import HERE
from scripted_runner import journal
from test_run_inline import Watcher, outcome, same

from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.study.study import Study

pytest.importorskip("ray")

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]


def below(name: str) -> list[psutil.Process]:
    """Living descendants of this process with a word in their command."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(word.rsplit("/", 1)[-1] == name for word in words):
            found.append(process)
    return found


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Nothing that the test has started outlives the run."""
    before = set(psutil.Process().children(recursive=True))
    yield
    left = set(psutil.Process().children(recursive=True)) - before
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []


VICTIMS = {
    "agrm_study.execution.driver.child": "The driver process died: it was killed by SIGKILL",
    "raylet": "raylet",
    "gcs_server": "gcs_server",
}
"""What is killed, one after the other, and what the run says about it."""


@pytest.mark.usefixtures("nothing_left")
def test_trials_go_on_from_their_checkpoints_in_the_same_run_when_the_driver_or_its_ray_is_killed(
    make_study: Make, run: Run, results: Path, script: Script, tmp_path: Path
) -> None:
    script(
        A={"epochs": 1}, B={"epochs": 10, "epoch_s": 0.2, "fail": "wait", "at": 9}
    )  # none ends before the last strike
    victims, notes = list(VICTIMS), list[str]()

    def strike(event: TrialEvent) -> None:
        struck = len(VICTIMS) - len(victims)
        if victims and event.kind == "epoch" and event.epoch >= 3 + 2 * struck and len(notes) == struck:
            for process in below(victims.pop(0)):
                process.kill()

    class Resumes(Watcher):
        def message(self, text: str) -> None:
            super().message(text)
            if text.endswith("A new driver process takes over."):
                notes.append(text)
                if not victims:
                    (results / "go").touch()

    watcher = Resumes(strike)
    summary = run(make_study(seeds=2), executor="ray", slots=2, view=watcher)
    assert (summary.exit_code, summary.finished) == (0, 4), summary
    assert len(notes) == len(VICTIMS), notes
    assert all(said in note for said, note in zip(VICTIMS.values(), notes, strict=True)), notes
    assert [event.kind for event in watcher.events].count("finished") == 4
    saved = {event.trial_id: event.epoch for event in watcher.events if event.kind == "retried"}
    resumed = {event.trial_id: event.resumed for event in watcher.events if event.kind == "finished"}
    assert max(saved.values()) >= 6
    assert all(resumed[trial_id] >= epoch for trial_id, epoch in saved.items())
    starts = [line for line in journal(results) if line.startswith("start A")]
    assert len(starts) == 2, "what has finished is not run again"
    other = tmp_path / "inline"
    other.mkdir()
    for name in ("script.json", "go"):
        shutil.copy(results / name, other)
    run(make_study(seeds=2), results=other)
    assert same(outcome(results), outcome(other))


@pytest.mark.usefixtures("nothing_left")
def test_an_interruption_while_ray_starts_is_not_waited_for(make_study: Make, run: Run) -> None:
    class Impatient(Watcher):
        ticks = 0

        def refresh(self) -> None:
            self.ticks += 1
            if self.ticks == 10:
                os.kill(os.getpid(), signal.SIGINT)
                self.asked = time.monotonic()

    watcher = Impatient()
    summary = run(make_study(), executor="ray", slots=2, view=watcher)
    assert (summary.exit_code, summary.unfinished) == (130, 4)
    assert watcher.events == []
    assert time.monotonic() - watcher.asked < 20


@pytest.fixture
def default_hangup() -> Iterator[None]:
    """SIGHUP with its default action: under nohup it is ignored, by the tests and by runs."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("way", ["SIGHUP", "python"])
def test_a_hangup_and_a_keyboard_interrupt_in_python_save_the_running_epochs(
    make_study: Make, run: Run, script: Script, way: str, default_hangup: None
) -> None:
    script(**{"*": {"epochs": 60, "epoch_s": 0.3}})
    asked = threading.Event()

    def interrupt(event: TrialEvent) -> None:
        if event.kind == "epoch" and event.epoch >= 2 and not asked.is_set():
            asked.set()
            if way == "python":
                raise KeyboardInterrupt
            os.kill(os.getpid(), signal.SIGHUP)

    before = signal.getsignal(signal.SIGHUP)
    watcher = Watcher(interrupt)
    options = {"executor": "ray", "slots": 2, "checkpoint_every_s": 1000.0, "as_command": way != "python"}
    summary = run(make_study(seeds=1), view=watcher, **options)
    assert (summary.exit_code, summary.finished, summary.unfinished) == (130, 0, 2)
    stopped = {event.trial_id: event.epoch for event in watcher.events if event.kind == "interrupted"}
    assert len(stopped) == 2
    assert signal.getsignal(signal.SIGHUP) == before
    script(**{"*": {"epochs": 60}})
    again = Watcher()
    script(**{"*": {"epochs": 6}})
    assert run(make_study(seeds=1), view=again).exit_code == 0
    assert {e.trial_id: e.resumed for e in again.events if e.kind == "finished"} == stopped


def test_a_run_that_is_killed_leaves_no_process(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "import named_data\n"
        "from agrm_study.execution import run\n"
        "from agrm_study.execution.options import RunOptions\n"
        "from agrm_study.study.load import load_study\n"
        "run.prepare = lambda *a, **k: named_data.NamedData()\n"
        "study = load_study(sys.argv[1])\n"
        "options = RunOptions(results=sys.argv[2], slots=2, runner=named_data.RUNNER)\n"
        "run.run_study(study, options)\n"
        "assert 'ray' not in sys.modules, 'only the driver process imports ray'\n"
    )
    study = tmp_path / "study.json"
    study.write_text(
        '{"name": "s", "tasks": ["three_class"], "seeds": 2, "data": {"synthetic": {"subjects": 6}},'
        ' "arms": [{"name": "A"}], "sharing": false}'
    )
    (results / "script.json").write_text('{"A": {"epochs": 3, "epoch_s": 2.0}}')
    monkeypatch.setenv("PYTHONPATH", HERE, prepend=os.pathsep)
    command = [sys.executable, str(script), str(study), str(results)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    beats = results / ".run" / "heartbeats"
    while process.poll() is None and not list(beats.glob("*.json")):
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 4
    process.kill()
    process.wait(10)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
    (results / "script.json").write_text('{"A": {"epochs": 3}}')
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    assert not [each for each in psutil.process_iter() if each.ppid() == process.pid]


def test_modules_of_the_working_folder_are_not_imported_by_workers(
    make_study: Make, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "statistics.py").write_text("raise ImportError('this is not the module of that name')\n")
    monkeypatch.chdir(tmp_path)
    assert run(make_study(seeds=1), executor="ray", slots=1).exit_code == 0


def test_workers_that_cannot_be_created_end_the_run_with_the_cause_told_once_and_no_trial_is_to_blame(
    make_study: Make, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if any('default_worker' in word for word in sys.orig_argv):\n"
        "    sys.modules['agrm_study.execution.trial.worker'] = None\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    watcher = Watcher()
    summary = run(make_study(seeds=1), executor="ray", slots=1, view=watcher)
    assert (summary.exit_code, summary.finished, summary.failed) == (1, 0, ()), summary
    assert watcher.events == []
    (message,) = [m for m in watcher.messages if m.startswith("no worker can be started on node 127.0.0.1")]
    assert "agrm_study.execution.trial.worker" in message
    assert "checkpoint" not in message
