"""Runs that have joined one results folder leave the records of a single run, each trial trained once."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_runner import journal
from test_race import CLEAR
from test_run_inline import Watcher, outcome, same

from agrm_study.execution.dispatch.budget import Limits
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.options import RunOptions
from agrm_study.execution.results_folder import leases
from agrm_study.execution.results_folder.leases import Leases, Member
from agrm_study.execution.results_folder.lock import joined, results_lock, running_owner
from agrm_study.execution.run import run_study
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.versions import own_versions
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.execution.trial.worker import TrialWorker
from agrm_study.plan.expand import expand
from agrm_study.records.exclusive import create, ended_mark
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.study.errors import InputError
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]
SLOW = {"*": {"epoch_s": 0.03}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that expire within a second."""
    monkeypatch.setattr(leases, "EXPIRES_AFTER_S", 1.0)
    monkeypatch.setattr(leases, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr("agrm_study.execution.dispatch.joined_source.LOOK_IDLE_S", 0.05)


class Joined:
    """Several joined runs of a study, each in a thread."""

    def __init__(self, results: Path, run: Run, study: Study, count: int = 2, **options: Any) -> None:
        self.interrupts = [Interrupt() for _ in range(count)]
        self.watchers = [Watcher() for _ in range(count)]
        self.summaries: dict[int, RunSummary] = {}
        self.errors: list[BaseException] = []
        given = {"executor": "inline", "runner": "scripted_runner:ScriptedRunner", "checkpoint_every_s": 0.0}
        self._options = RunOptions(**{"results": results, "join": True, **given, **options})
        self._study = study
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(count)]

    def _run(self, number: int) -> None:
        try:
            self.summaries[number] = run_study(
                self._study, self._options, view=self.watchers[number], interrupt=self.interrupts[number]
            )
        except BaseException as error:
            self.errors.append(error)

    def start(self, *numbers: int) -> None:
        for number in numbers:
            self.threads[number].start()

    def end(self) -> list[RunSummary]:
        for thread in self.threads:
            thread.join(30)
        assert not self.errors, self.errors
        return [self.summaries[number] for number in range(len(self.threads))]


@pytest.fixture
def join(run: Run, results: Path) -> Callable[..., Joined]:
    def make(study: Study, count: int = 2, **options: Any) -> Joined:
        return Joined(results, run, study, count, **options)

    return make


def starts(results: Path) -> Counter[str]:
    return Counter(line for line in journal(results) if line.startswith("start"))


def one_run(study: Study, run: Run, results: Path, **options: Any) -> Any:
    """The records of one undisturbed run, whose folder is emptied again."""
    run(study, **options)
    found = outcome(results)
    kept = {name: (results / name).read_text() for name in ("script.json", "scores.json") if (results / name).exists()}
    shutil.rmtree(results)
    results.mkdir()
    for name, text in kept.items():
        (results / name).write_text(text)
    return found


@pytest.mark.parametrize("sharing", [False, True])
def test_two_runs_share_the_trials_and_leave_the_records_of_one(
    make_study: Make, run: Run, join: Callable[..., Joined], results: Path, script: Script, sharing: bool
) -> None:
    study = make_study({"A": 0.5, "B": 0.6, "C": 0.7}, seeds=3, sharing=sharing, set={"ssl.pretrain_epochs": 1})
    alone = one_run(study, run, results)
    script(**SLOW)
    runs = join(study)
    runs.start(0, 1)
    summaries = runs.end()
    assert same(outcome(results), alone)
    assert max(starts(results).values()) == 1
    assert sum(starts(results).values()) == 9
    assert sum(s.finished for s in summaries) == 9
    assert min(s.finished for s in summaries) > 0
    assert [s.before + s.finished for s in summaries] == [9, 9]
    assert [s.exit_code for s in summaries] == [0, 0]
    assert sorted(s.reports for s in summaries) == [False, True]
    saved = [line for line in journal(results) if line.startswith("leave")]
    assert len(saved) == (3 if sharing else 0), "a stage is trained once, by whichever run"


def test_a_run_that_comes_later_takes_part_and_one_that_is_interrupted_frees_its_trial_at_once(
    make_study: Make, join: Callable[..., Joined], results: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "EXPIRES_AFTER_S", 60.0)
    script(**{"*": {"epoch_s": 0.05, "epochs": 6}})
    runs = join(make_study(seeds=2))

    def stop_first(event: TrialEvent) -> None:
        if event.kind == "epoch" and event.epoch == 2:
            runs.start(1)
            runs.interrupts[0].request()
            runs.watchers[0]._on_event = lambda event: None

    runs.watchers[0]._on_event = stop_first
    runs.start(0)
    runs.threads[0].join(20)
    first, second = runs.end()
    assert (first.exit_code, first.finished) == (130, 0)
    assert (second.exit_code, second.finished) == (0, 4)
    resumed = [event.resumed for event in runs.watchers[1].events if event.kind == "finished"]
    assert max(resumed) >= 2, "it went on from the checkpoint of the first run"
    assert (first.reports, second.reports) == (False, True)


def dead_run(results: Path, *names: str) -> Leases:
    """A run that was killed while it held some claims."""
    code = " ".join(f"{name} {version}" for name, version in sorted(own_versions().items()))
    member = Member(study="study", host="h", pid=7, since=time.time(), code=code)
    found = Leases(Location.of(results), member)
    found.join()
    for name in names:
        found.claim(name)
    return found


def test_the_trials_of_a_killed_run_are_taken_over_after_its_lease(
    make_study: Make, join: Callable[..., Joined], results: Path, script: Script, run: Run
) -> None:
    script(**SLOW)
    study = make_study()
    (first, *_) = expand(study, lambda recipe: ("data", "split")).trials
    dead_run(results, first.trial_id)
    began, started = time.monotonic(), dict[str, float]()
    runs = join(study, 1)
    runs.watchers[0]._on_event = lambda event: started.setdefault(event.trial_id, time.monotonic() - began)  # type: ignore[assignment, return-value]
    runs.start(0)
    (summary,) = runs.end()
    assert (summary.exit_code, summary.finished) == (0, 4)
    assert started[first.trial_id] >= 1.0
    assert min(started.values()) < 1.0
    assert max(started.values()) == started[first.trial_id], started


def test_a_run_ends_when_living_runs_hold_all_that_is_left(
    make_study: Make, join: Callable[..., Joined], results: Path, script: Script
) -> None:
    study = make_study()
    (first, *_) = expand(study, lambda recipe: ("data", "split")).trials
    holder = dead_run(results, first.trial_id)
    holder.keep_renewed()
    runs = join(study, 1)
    runs.start(0)
    (summary,) = runs.end()
    assert (summary.finished, summary.elsewhere, summary.exit_code, summary.reports) == (3, 1, 0, False)
    assert not ended_mark(Location.of(results), holder.run).exists()
    holder.leave()


def test_a_run_that_was_declared_dead_writes_nothing_more(make_study: Make, results: Path, script: Script) -> None:
    trial = expand(make_study(), lambda recipe: ("data", "split")).trials[0]
    sleeper = dead_run(results, trial.trial_id)
    settings = WorkerSettings(
        results=str(results), runner="scripted_runner:ScriptedRunner", checkpoint_every_s=0.0, run=sleeper.run
    )
    worker = TrialWorker(settings)
    worker.begin(Work(trial=trial))
    assert worker.step().kind == "epoch"
    create(ended_mark(Location.of(results), sleeper.run), b"declared dead")
    saved = (results / "checkpoints" / trial.trial_id / "rolling.pt").read_text()
    assert worker.step().kind == "interrupted"
    assert (results / "checkpoints" / trial.trial_id / "rolling.pt").read_text() == saved
    assert not Ledger(results).states()


def test_a_run_that_slept_past_its_lease_joins_again_and_trains_what_is_left(
    make_study: Make, join: Callable[..., Joined], results: Path, script: Script
) -> None:
    script(**{"*": {"epoch_s": 0.1, "epochs": 4}})
    runs = join(make_study(), 1)

    def declare_dead(event: TrialEvent) -> None:
        if event.kind == "epoch" and event.epoch == 2 and not marks:
            (file,) = (results / "leases" / "runs").glob("*.json")
            marks.append(file.stem)
            create(ended_mark(Location.of(results), file.stem), b"declared dead")

    marks: list[str] = []
    runs.watchers[0]._on_event = declare_dead
    runs.start(0)
    (summary,) = runs.end()
    assert summary.exit_code == 0
    assert len(Ledger(results).finished_ids()) == 4
    assert any("joins again" in message for message in runs.watchers[0].messages)


def test_failures_in_all_runs_hold_an_arm_back(
    make_study: Make, join: Callable[..., Joined], results: Path, script: Script
) -> None:
    script(A={"fail": "bug", "epoch_s": 0.1, "at": 2}, B={"epoch_s": 0.02})
    runs = join(make_study(seeds=8))
    runs.start(0, 1)
    summaries = runs.end()
    failed = len(Ledger(results).failed())
    assert 3 <= failed <= 5, "each run may have begun one more when the third failed"
    assert [s.held for s in summaries] == [8 - failed] * 2
    assert [len(s.failed) for s in summaries] == [failed] * 2
    assert [s.exit_code for s in summaries] == [1, 1]
    assert sum(s.reports for s in summaries) == 1


def test_a_race_decides_as_it_does_in_one_run(
    make_study: Make, run: Run, join: Callable[..., Joined], results: Path, script: Script
) -> None:
    (results / "scores.json").write_text(json.dumps(CLEAR))
    study = make_study({"A": 0.5, "B": 0.6, "C": 0.7}, seeds={"race": {"first": 3, "most": 6}})
    alone = one_run(study, run, results, runner="racing_runner:RacingRunner")
    script(**SLOW)
    runs = join(study, runner="racing_runner:RacingRunner")
    runs.start(0, 1)
    summaries = runs.end()
    assert same(outcome(results), alone)
    assert max(starts(results).values()) == 1
    assert [s.exit_code for s in summaries] == [0, 0]
    log = RaceLog.read(Location.of(results))
    assert log is not None
    assert [stopped.arm for stopped in log.stopped] == ["C"]


def test_a_search_is_led_by_one_run_and_the_others_share_the_trials_after_it(
    search_of: Make, run: Run, join: Callable[..., Joined], results: Path, script: Script
) -> None:
    study = search_of(trials=4, promote=2, seeds=3)
    alone = one_run(study, run, results, runner="search_runner:SearchRunner")
    script(**SLOW)
    runs = join(study, runner="search_runner:SearchRunner")
    runs.start(0, 1)
    summaries = runs.end()
    assert same(outcome(results), alone)
    assert max(starts(results).values()) == 1
    led = [any("is led by" in message for message in watcher.messages) for watcher in runs.watchers]
    assert sorted(led) == [False, True]
    waited = summaries[led.index(True)]
    assert waited.finished > 0
    assert [s.exit_code for s in summaries] == [0, 0]


def test_a_run_whose_time_is_over_leaves_its_trials_to_the_others(
    make_study: Make, join: Callable[..., Joined], results: Path, script: Script
) -> None:
    script(**{"*": {"epoch_s": 0.1, "epochs": 4}})
    study = make_study(seeds=6)
    short, long = join(study, 1, limits=Limits(time_s=2.0)), join(study, 1)
    short.start(0)
    long.start(0)
    (first,), (second,) = short.end(), long.end()
    assert first.finished + second.finished == 12
    assert 0 < first.finished < second.finished
    assert (second.exit_code, second.elsewhere) == (0, 0)
    assert max(starts(results).values()) <= 2, "one may have been saved and resumed"


def test_runs_with_and_without_join_refuse_each_other(make_study: Make, run: Run, results: Path) -> None:
    place = Location.of(results)
    with joined(place, "other", "code"):
        owner = running_owner(place)
        assert owner is not None
        assert (owner["study"], owner["joined"]) == ("other", 1)
        with pytest.raises(InputError, match=r"only with --join.*Add --join"):
            run(make_study())
    with results_lock(place, "other"), pytest.raises(InputError, match=r"one run at a time.*--join"):
        run(make_study(), join=True)
    assert run(make_study()).exit_code == 0


def test_a_run_without_join_waits_until_dead_joined_runs_are_known_to_be_dead(
    make_study: Make, run: Run, results: Path
) -> None:
    dead = dead_run(results)
    living = dead_run(results)
    living.keep_renewed()
    with pytest.raises(InputError, match="only with --join"):
        run(make_study())
    living.leave()
    began = time.monotonic()
    assert run(make_study()).exit_code == 0
    assert time.monotonic() - began >= 0.9
    assert ended_mark(Location.of(results), dead.run).exists()


def test_runs_of_other_code_are_refused_while_the_others_live(make_study: Make, run: Run, results: Path) -> None:
    with (
        joined(Location.of(results), "study", "code 1"),
        pytest.raises(InputError, match="must have the same versions"),
    ):
        run(make_study(), join=True)


def test_a_file_system_without_locks_can_be_joined(
    make_study: Make, run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def flock(descriptor: int, kind: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(InputError):
        run(make_study())
    assert run(make_study(), join=True).exit_code == 0


def test_storage_that_ignores_conditions_is_refused(
    make_study: Make, run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwrite(file: Location, content: bytes) -> bool:
        file.write_atomic(content)
        return True

    monkeypatch.setattr("agrm_study.records.exclusive.create", overwrite)
    with pytest.raises(InputError, match=r"creates a file only if it does not exist.*ignores the condition"):
        run(make_study(), join=True)
    assert not Heartbeat.read_all(Location.of(results))


def test_a_second_joined_run_of_a_finished_study_reports_again(make_study: Make, run: Run) -> None:
    assert run(make_study(), join=True).reports
    again = run(make_study(), join=True)
    assert (again.before, again.finished, again.reports) == (4, 0, True)
