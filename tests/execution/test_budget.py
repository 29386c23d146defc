"""Limits in time and GPU-hours: which trials start, what is saved, what remains, and how a run ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_runner import journal
from test_run_inline import Watcher, outcome, same

from agrm_study.execution.dispatch.budget import Budget, Limits
from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.dispatch.usage_meter import UsageMeter
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.progress.status import status
from agrm_study.execution.results_folder.usage import Used, read_used
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.execution.trial.work import Work
from agrm_study.plan.pace import Pace
from agrm_study.plan.stages import plan_stages
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.resources import Resources
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]
HOUR = 3600.0


class EpochClock(Watcher):
    """A view that is the clock of the limits, too: each epoch of a trial takes 100 s on any machine."""

    def __init__(self) -> None:
        super().__init__(self._count)
        self.began, self.now = time.monotonic(), 0.0

    def _count(self, event: TrialEvent) -> None:
        self.now += 100.0 * (event.kind in ("epoch", "failed"))

    def __call__(self) -> float:
        return self.began + self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> EpochClock:
    """The clock of all limits within the test."""
    clock = EpochClock()
    monkeypatch.setitem(Budget.__init__.__kwdefaults__, "clock", clock)
    return clock


@pytest.fixture
def paced_clock(clock: EpochClock, monkeypatch: pytest.MonkeyPatch) -> EpochClock:
    """The clock of all limits, by which the durations in events are measured, too."""
    observe = Budget.observe

    def observe_paced(budget: Budget, event: TrialEvent) -> None:
        observe(budget, replace(event, epoch_s=100.0, wall_s=100.0 * event.epoch))

    monkeypatch.setattr(Budget, "observe", observe_paced)
    return clock


def starts(results: Path) -> int:
    return sum(line.startswith("start") for line in journal(results))


def work(name: str, epochs: int = 100) -> Work:
    recipe = Recipe.model_validate({"epochs": epochs, "ssl": {"method": "supervised"}})
    return Work(
        trial=TrialSpec(trial_id=name, config_id="c", study="s", phase="final", arm=name, recipe=recipe, params={})
    )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(results: Path, clock: Clock, gpu: float = 0.0, **limits: Any) -> tuple[Budget, UsageMeter]:
    """A budget in which a trial of 100 epochs takes an hour."""
    place = Location.of(results)
    meter = UsageMeter(place, Resources(gpu=gpu), clock)
    pace = Pace()
    pace.finished(work("measured").trial, 100, HOUR)
    return Budget(Limits(**limits), place, meter, pace, began=0.0, clock=clock), meter


def begin(budget: Budget, meter: UsageMeter, name: str, **event: Any) -> bool:
    admitted = budget.admits(work(name))
    if admitted:
        meter.observe(TrialEvent(kind="started", trial_id=name, **event))
    return admitted


def test_a_trial_starts_only_if_it_ends_in_time_and_one_of_unknown_length_always(tmp_path: Path) -> None:
    clock = Clock()
    budget, meter = opened(tmp_path, clock, time_s=2 * HOUR)
    clock.now = HOUR - 61  # a minute is kept for the end
    assert begin(budget, meter, "a")
    clock.now = HOUR - 59
    assert not begin(budget, meter, "b")
    unknown = work("c")
    object.__setattr__(unknown.trial, "recipe", Recipe())
    assert budget.admits(unknown)
    assert budget.limit == "time"
    assert not budget.ended


def test_a_trial_that_a_checkpoint_shortens_may_start_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agrm_study.execution.dispatch.budget.code_version", lambda: "this")
    beat = {"attempt": 1, "host": "h", "pid": 1, "device": "cpu", "started_at": 1.0, "updated_at": 1.0}
    for name, version in (("a", "this"), ("b", "other")):
        saved = Heartbeat(trial_id=name, **beat, saved_wall_s=0.75 * HOUR, code_version=version)
        saved.write(Location.of(tmp_path))
    clock = Clock()
    budget, _ = opened(tmp_path, clock, time_s=2 * HOUR)
    clock.now = 1.5 * HOUR
    assert budget.admits(work("a"))
    assert not budget.admits(work("b"))


def test_a_trial_longer_than_the_whole_run_starts_in_its_first_half(tmp_path: Path) -> None:
    clock = Clock()
    budget, _ = opened(tmp_path, clock, time_s=0.5 * HOUR)
    assert budget.admits(work("a"))
    clock.now = 0.3 * HOUR
    assert not budget.admits(work("b"))


def test_running_trials_are_saved_an_epoch_before_the_end(tmp_path: Path) -> None:
    clock = Clock()
    budget, _ = opened(tmp_path, clock, time_s=2 * HOUR)
    assert budget.admits(work("a"))
    budget.observe(TrialEvent(kind="epoch", trial_id="a", epoch=1, epoch_s=100.0, wall_s=100.0))
    clock.now = 2 * HOUR - 60 - 121
    assert not budget.reached()
    clock.now = 2 * HOUR - 60 - 119
    assert budget.reached()


def test_gpu_hours_count_shares_running_trials_and_what_they_still_need(tmp_path: Path) -> None:
    clock = Clock()
    budget, meter = opened(tmp_path, clock, gpu=0.5, gpu_hours=1.6)
    assert begin(budget, meter, "a")  # half an hour of a GPU each
    assert begin(budget, meter, "b")
    assert begin(budget, meter, "c")
    assert not begin(budget, meter, "d")
    clock.now = HOUR
    for name in "abc":
        ended = TrialEvent(kind="failed", trial_id=name)  # failed attempts count
        budget.observe(ended)
        meter.observe(ended)
    assert meter.used.gpu_hours == pytest.approx(1.5)
    assert not budget.admits(work("e"))
    assert budget.limit == "gpu_hours"


def test_the_first_epoch_of_an_attempt_is_no_measure_of_the_others(tmp_path: Path) -> None:
    clock = Clock()
    place = Location.of(tmp_path)
    meter = UsageMeter(place, Resources(), clock)
    budget = Budget(Limits(time_s=2 * HOUR), place, meter, Pace(), began=0.0, clock=clock)
    assert budget.admits(work("a"))
    budget.observe(TrialEvent(kind="epoch", trial_id="a", epoch=1, epoch_s=600.0, wall_s=700.0))  # it compiles
    clock.now = HOUR / 2
    assert budget.admits(work("b"))
    budget.observe(TrialEvent(kind="epoch", trial_id="a", epoch=2, epoch_s=60.0, wall_s=760.0))
    assert not budget.admits(work("c"))  # a hundred minutes


def test_predictions_that_are_made_again_take_no_training(tmp_path: Path) -> None:
    clock = Clock()
    budget, _ = opened(tmp_path, clock, time_s=2 * HOUR)
    clock.now = 1.5 * HOUR
    assert budget.admits(replace(work("a"), predict_only=True))
    assert not budget.admits(work("b"))


def test_an_account_of_any_size_is_read_and_a_damaged_one_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / ".run" / "usage"
    folder.mkdir(parents=True)
    (folder / "large.json").write_text('{"cpu_s": 2e10, "gpu_s": 3600.0}')
    for name, text in (
        ("a", ""),
        ("b", "[]"),
        ("c", '{"cpu_s": -1}'),
        ("d", '{"cpu_s": NaN}'),
        ("e", '{"gpu_s": "1"}'),
    ):
        (folder / f"{name}.json").write_text(text)
    (folder / "f.json").mkdir()
    (folder / "g.json").symlink_to("nowhere")
    assert read_used(Location.of(tmp_path), Resources()) == Used(cpu_s=2e10, gpu_s=3600.0)


def test_a_trial_on_a_larger_share_uses_more(tmp_path: Path) -> None:
    clock = Clock()
    budget, meter = opened(tmp_path, clock, gpu=0.25, gpu_hours=10)
    begin(budget, meter, "a", gpus=0.5)
    clock.now = HOUR
    meter.observe(TrialEvent(kind="retried", trial_id="a"))
    clock.now = 5 * HOUR  # between two attempts nothing is held
    assert (meter.used.gpu_hours, meter.used.cpu_hours) == pytest.approx((0.5, 1.0))


def test_runs_of_one_folder_add_up_and_the_records_of_older_versions_count_once(
    make_study: Make, run: Run, results: Path
) -> None:
    run(make_study())
    walls = [json.loads(file.read_text()) for file in (results / ".run" / "usage").glob("*.json")]
    assert len(walls) == 1
    for file in (results / ".run" / "usage").glob("*.json"):
        file.unlink()
    before = status(results).used
    assert before.cpu_s > 0
    clock = Clock()
    for _ in range(2):
        meter = UsageMeter(Location.of(results), Resources(), clock)
        meter.observe(TrialEvent(kind="started", trial_id="x"))
        clock.now += HOUR
        meter.close()
    assert status(results).used.cpu_hours == pytest.approx(before.cpu_hours + 2.0)


def test_a_trial_that_does_not_fit_leaves_its_place_to_those_that_wait_for_its_first_epochs() -> None:
    def agrm(name: str, tau: float) -> Work:
        recipe = Recipe.model_validate({"ssl": {"threshold": {"tau": tau}}})
        return Work(
            trial=TrialSpec(trial_id=name, config_id="c", study="s", phase="final", arm=name, recipe=recipe, params={})
        )

    works = [agrm("a", 0.5), agrm("b", 0.6), agrm("c", 0.7)]
    queue = TrialQueue(works, plan_stages([w.trial for w in works]), exists=lambda key: False)
    source = WorkSource(works, order=queue)
    first = source.take()
    assert first is not None
    assert source.take() is None  # the others wait for its pre-training
    source.set_aside(first.trial.trial_id)
    second = source.take()
    assert second is not None
    assert second.trial.trial_id != first.trial.trial_id
    assert len(queue) == 1
    assert not source.exhausted


def test_a_trial_that_a_dead_driver_leaves_is_handed_out_again_after_others_were_refused(tmp_path: Path) -> None:
    clock = Clock()
    budget, _ = opened(tmp_path, clock, time_s=2 * HOUR)
    source = budget.source(WorkSource([work("a"), work("b")]))
    assert source.take() is not None
    clock.now = 1.5 * HOUR
    assert source.take() is None  # b does not fit
    clock.now = 0.5 * HOUR
    source.put_back("a")
    assert not source.exhausted
    assert source.take() is not None
    budget.observe(TrialEvent(kind="finished", trial_id="a", epoch=100, wall_s=HOUR))
    assert source.take() is None
    assert source.exhausted


def test_a_run_ends_when_the_next_trial_would_take_too_long_and_the_next_run_goes_on(
    make_study: Make, run: Run, results: Path, script: Script, paced_clock: EpochClock
) -> None:
    script(**{"*": {"epochs": 5}})
    summary = run(make_study(seeds=4), limits=Limits(time_s=2000.0), view=paced_clock)
    assert 1 <= summary.finished < 8
    assert 1500 <= paced_clock.now <= 2000
    assert starts(results) == summary.finished
    assert (summary.exit_code, summary.limit, summary.interrupted, summary.saved) == (130, "time", False, 0)
    [left] = [text for text in paced_clock.messages if text.startswith("The time limit of this run has been reached")]
    assert f"{8 - summary.finished} trials left, less than a minute of slot time" in left
    assert summary.sentence.endswith("time limit reached)")
    script(**{"*": {"epochs": 5}})
    assert run(make_study(seeds=4)).exit_code == 0


def test_running_trials_are_saved_before_the_end_and_resumed_to_the_same_records(
    make_study: Make, run: Run, results: Path, script: Script, tmp_path: Path, clock: EpochClock
) -> None:
    script(**{"*": {"epochs": 60}})
    summary = run(make_study({"A": 0.5}, seeds=1), view=clock, limits=Limits(time_s=1000.0), checkpoint_every_s=60.0)
    assert (summary.exit_code, summary.saved, summary.unfinished) == (130, 1, 1)
    assert 500 < clock.now <= 1000
    assert "1 trial left, 1 of them saved partway" in summary.left
    script(**{"*": {"epochs": 60}})
    resumed = run(make_study({"A": 0.5}, seeds=1))
    assert (resumed.exit_code, resumed.finished) == (0, 1)
    assert starts(results) == 2
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "script.json").write_text((results / "script.json").read_text())
    run(make_study({"A": 0.5}, seeds=1), results=whole)
    assert same(outcome(results), outcome(whole))


def test_gpu_hours_are_those_of_the_folder_and_a_larger_number_goes_on(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    script(**{"*": {"epochs": 4, "epoch_s": 0.1}})
    study = make_study(seeds=4, resources={"cpu": 1, "gpu": 1})
    limits = Limits(gpu_hours=1.5 / 3600)
    first = run(study, limits=limits, device="cpu")
    assert 1 <= first.finished < 8
    assert (first.exit_code, first.limit) == (1, "gpu_hours")
    assert "Resume with a larger --gpu-hours" in first.left
    assert 0 < first.used.gpu_s < 1.9
    assert status(results).to_dict()["used"]["gpu_hours"] == pytest.approx(first.used.gpu_hours)
    count = starts(results)
    again = run(study, limits=limits, device="cpu")
    assert (again.exit_code, again.finished, starts(results)) == (1, 0, count)
    script(**{"*": {"epochs": 4}})
    assert run(study, limits=Limits(gpu_hours=1.0), device="cpu").exit_code == 0


def test_a_limit_in_gpu_hours_needs_gpus(make_study: Make, run: Run) -> None:
    with pytest.raises(InputError, match=r"`--gpu-hours`.*requires trials that use GPUs"):
        run(make_study(), limits=Limits(gpu_hours=1.0))


def test_a_search_ends_within_a_limit(search_of: Make, run: Run, script: Script, clock: EpochClock) -> None:
    script(**{"*": {"epochs": 4}})
    found = run(search_of(trials=20), view=clock, limits=Limits(time_s=2000.0))
    assert (found.exit_code, found.limit) == (130, "time")
    assert 1 <= found.finished < 20
    assert clock.now <= 2000
    assert found.total == 20 + 2 * 3


def test_a_race_ends_within_a_limit(make_study: Make, run: Run, script: Script, clock: EpochClock) -> None:
    script(**{"*": {"epochs": 4}})
    race = {"race": {"first": 3, "most": 6}}
    ended = run(make_study(seeds=race), view=clock, limits=Limits(time_s=1200.0))  # type: ignore[arg-type]
    assert (ended.exit_code, ended.limit) == (130, "time")
    assert 1 <= ended.finished < 6


@pytest.mark.slow
def test_on_ray_trials_are_saved_before_the_end_too(make_study: Make, run: Run, results: Path, script: Script) -> None:
    script(**{"*": {"epochs": 400, "epoch_s": 0.1}})
    study = make_study({"A": 0.5}, seeds=2)
    summary = run(study, executor="ray", slots=2, limits=Limits(time_s=20.0), checkpoint_every_s=60.0)
    assert (summary.exit_code, summary.limit, summary.unfinished) == (130, "time", 2)
    assert summary.saved == starts(results) >= 1
    assert summary.wall_s < 25
    assert summary.used.cpu_s > 5
    script(**{"*": {"epochs": 400}})
    assert run(study, executor="ray", slots=2).exit_code == 0
    assert starts(results) == 2 + summary.saved


@pytest.mark.slow
def test_on_ray_a_trial_within_a_long_epoch_is_stopped_when_the_time_is_over(
    make_study: Make, run: Run, script: Script
) -> None:
    script(**{"*": {"epochs": 2, "epoch_s": 60.0}})
    summary = run(make_study({"A": 0.5}, seeds=1), executor="ray", slots=1, limits=Limits(time_s=15.0))
    assert (summary.exit_code, summary.limit, summary.saved) == (130, "time", 0)
    assert summary.wall_s < 30


def test_a_limit_that_leaves_nothing_does_not_hide_failures(
    make_study: Make, run: Run, script: Script, clock: EpochClock
) -> None:
    script(**{"*": {"epochs": 3, "fail": "bug", "at": 3}})
    summary = run(make_study({"A": 0.5}, seeds=1), view=clock, limits=Limits(time_s=300.0))
    assert clock.now >= 270
    assert (len(summary.failed), summary.unfinished, summary.exit_code) == (1, 0, 1)
    assert not summary.left
