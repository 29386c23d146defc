"""A driver process handles requests, and leaves nothing behind after it or its run has ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from named_data import HERE
from test_trial_queue import trial

from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver import child_process, ray_executor
from agrm_study.execution.driver.call import call
from agrm_study.execution.driver.child_process import DriverProcess
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.protocol import (
    Assigned,
    Event,
    Job,
    Lost,
    Message,
    Result,
    Seen,
    Stop,
    Take,
    Tick,
    decode,
    encode,
)
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.resources.capacity import Placement
from agrm_study.execution.resources.ray_folder import PREFIX
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.fence import current_fence
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError, InputErrors

MESSAGES: list[Message] = [
    Job("run", {"slots": None, "data": {"a": 1}}), Take(("A100", None), True), Assigned("{}", 0.5), Stop(),
    Assigned(finished=True), Event("text", True), Seen(), Tick(), Tick(3), Result({"a": None}),
    Lost("why", True),
]  # fmt: skip


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agrm_study.execution.driver.child_process.MODULE", "stub_driver")
    monkeypatch.setenv("PYTHONPATH", HERE, prepend=":")


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_out_as_it_was_sent_in_one_line(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_a_driver_works_in_a_folder_of_its_own_that_no_module_is_looked_for_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "relative", prepend=":")
    found = call("facts", {})
    assert Path(found["folder"]).name.startswith(".driver.")
    assert not Path(found["folder"]).exists()
    assert str(tmp_path / "relative") in found["path"]
    assert not {"", str(tmp_path), found["folder"]} & set(found["path"])
    assert [str(Path(found["argv"][0]).parent)] == [found["folder"]]
    assert found["stdin"] == ""
    assert found["sid"] != psutil.Process().pid


def test_a_folder_of_ray_that_dying_processes_have_created_again_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with DriverProcess(Job("facts", {})) as driver:
        (tmp_path / f"{PREFIX}{driver.ray_suffix}" / "ray").mkdir(parents=True)
        (tmp_path / f"{PREFIX}{driver.ray_suffix[::-1]}").mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [f"{PREFIX}{driver.ray_suffix[::-1]}"]


def test_refusals_travel_with_all_their_fields() -> None:
    with pytest.raises(InputError) as one:
        call("refuse", {"one": True})
    assert str(one.value) == "`--x`: rule 1; given 1; allowed: more. Do it."
    with pytest.raises(InputErrors) as both:
        call("refuse", {"one": False})
    assert [problem.given for problem in both.value.problems] == [1, 2]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("lost", "Ray has ended"),
        ("bug", "KeyError: 'no such thing'"),
        ("exit", "the driver process died: it exited with code 7: the last words"),
        ("kill", "the driver process died: it was killed by SIGKILL"),
    ],
)
def test_the_end_of_a_driver_is_explained(how: str, said: str) -> None:
    with pytest.raises(ExecutionLost) as lost:
        call("end", {"how": how})
    assert str(lost.value) == said


def test_a_caller_that_gives_up_waits_for_nothing() -> None:
    began = time.monotonic()

    def tick() -> None:
        if time.monotonic() - began > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call("family", {}, tick=tick)


def relatives(process: DriverProcess) -> list[psutil.Process]:
    """The driver process and the two trees below it, four processes."""
    result = process.next(30)
    assert isinstance(result, Result)
    found = [psutil.Process(pid) for pid in result.value]
    while len(found) < 5:
        time.sleep(0.05)
        found = list({each: None for p in found for each in (p, *p.children(recursive=True))})
    return found


@pytest.mark.parametrize("first", [False, True])
def test_nothing_that_a_driver_has_started_outlives_it(first: bool) -> None:
    with DriverProcess(Job("family")) as process:
        family = relatives(process)
        if first:
            family[0].kill()
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not process.folder.exists()


@pytest.mark.parametrize("cleaned", [False, True], ids=["", "its folder was removed by another run"])
def test_nothing_of_a_driver_outlives_the_run_when_that_is_killed(cleaned: bool) -> None:
    script = "\n".join(
        [
            "import sys, time",
            "from agrm_study.execution.driver import child_process",
            "child_process.MODULE = 'stub_driver'",
            "process = child_process.DriverProcess(child_process.Job('family'))",
            "found = process.next(60).value",
            f"import shutil; {cleaned} and shutil.rmtree(process.folder)",
            "print(*found, flush=True)",
            "time.sleep(600)",
        ]
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    family = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


@pytest.mark.parametrize("hangs", [False, True])
def test_three_drivers_in_a_row_that_achieve_nothing_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    if hangs:
        monkeypatch.setenv("STUB_RUNS", "hangs")
        monkeypatch.setattr(child_process, "SILENT_S", 1.0)
    notes: list[str] = []
    source = WorkSource([Work(trial=trial("a"))])
    with pytest.raises(ExecutionLost) as lost:
        ray_executor.RayExecutor(Placement(), on_note=notes.append).run(
            source,
            WorkerSettings(results=str(tmp_path)),
            on_event=lambda event: None,
            interrupt=Interrupt(),
            on_tick=lambda: None,
        )
    why = "the driver process did not respond for 1 s" if hangs else "the driver process died: it was killed by SIGKILL"
    assert str(lost.value) == f"{why}; 3 driver processes in a row made no progress"
    assert notes == [f"{why[0].upper()}{why[1:]}. A new driver process takes over."] * 2
    assert (tmp_path / ".run" / "fence").read_text() == "3"
    assert list((tmp_path / ".run").iterdir()) == [tmp_path / ".run" / "fence"]


def test_a_driver_that_dies_after_the_last_trial_has_ended_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_RUNS", "finishes")
    notes: list[str] = []
    events: list[TrialEvent] = []
    ray_executor.RayExecutor(Placement(), on_note=notes.append).run(
        WorkSource([Work(trial=trial("a"))]),
        WorkerSettings(results=str(tmp_path)),
        on_event=events.append,
        interrupt=Interrupt(),
        on_tick=lambda: None,
    )
    assert [event.kind for event in events] == ["started", "finished"]
    assert notes == []
    assert current_fence(Location.of(tmp_path)) == 1


def test_an_interruption_before_any_trial_has_started_ends_the_driver_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_RUNS", "hangs")
    interrupt, source = Interrupt(), WorkSource([Work(trial=trial("a"))])
    threading.Timer(1.0, interrupt.request).start()
    ray_executor.RayExecutor(Placement()).run(
        source,
        WorkerSettings(results=str(tmp_path)),
        on_event=lambda event: None,
        interrupt=interrupt,
        on_tick=lambda: None,
    )
    assert source.stopped
