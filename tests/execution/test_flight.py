"""Trials of a driver process that has died."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_runner import journal
from test_run_inline import Watcher
from test_trial_queue import taus

from agrm_study.execution.dispatch import to_run
from agrm_study.execution.dispatch.known_trials import KnownTrials
from agrm_study.execution.dispatch.trial_queue import TrialQueue
from agrm_study.execution.dispatch.work_source import WorkSource
from agrm_study.execution.driver.flight import Flight
from agrm_study.execution.driver.protocol import Take
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.fence import current_fence, raise_fence
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.execution.trial.worker import TrialWorker
from agrm_study.plan.expand import expand
from agrm_study.plan.stages import plan_stages
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]

NOTHING = KnownTrials(states={}, damaged={}, problems=())


def works_of(study: Study) -> list[Work]:
    from named_data import NamedData

    data = NamedData()
    trials = expand(study, data.fingerprints).trials
    return [to_run.work_on(trial, data, NOTHING) for trial in trials]  # type: ignore[arg-type]


def flight_of(works: list[Work], results: Path, share: float = 0.0) -> tuple[Flight, WorkSource, list[TrialEvent]]:
    told: list[TrialEvent] = []
    source = WorkSource(works)

    def on_event(event: TrialEvent) -> None:
        told.append(event)
        source.observe(event)

    settings = WorkerSettings(results=str(results))
    return Flight(source, settings, share=share, losses=3, on_event=on_event), source, told


def test_a_trial_that_has_a_record_has_ended_and_its_events_are_those_that_were_lost(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    script(A={}, B={"fail": "bug", "at": 2})
    watcher, study = Watcher(), make_study(seeds=1)
    run(study, view=watcher)
    real = {event.kind: event for event in watcher.events if event.kind in ("finished", "failed")}
    curve = [
        event.metric
        for event in watcher.events
        if event.kind == "epoch" and event.trial_id == real["finished"].trial_id
    ]
    flight, source, told = flight_of(works_of(study), results)
    assert flight.assign(Take()).work
    assert flight.assign(Take()).work
    assert flight.reconcile("it died")
    (epoch,) = [event for event in told if event.kind == "epoch"]
    ends = [event for event in told if event.kind != "epoch"]
    assert {event.kind for event in ends} == {"finished", "failed"}
    for event in ends:
        for name in ("trial_id", "epoch", "epochs", "metric", "stop_reason", "best_epoch", "attempt", "failure"):
            assert getattr(event, name) == getattr(real[event.kind], name), name
    assert (epoch.kind, epoch.trial_id) == ("epoch", real["finished"].trial_id)
    assert list(epoch.earlier_metrics) == curve  # its last epoch is told with the end
    assert source.exhausted
    assert flight.assign(Take()).finished


def test_a_record_of_an_earlier_run_ends_nothing(make_study: Make, run: Run, results: Path, script: Script) -> None:
    script(A={"fail": "oom"})
    study = make_study({"A": 0.5}, seeds=1)
    run(study)
    (work,) = works_of(study)
    again = Work(trial=work.trial, attempts=1)
    flight, source, told = flight_of([again], results)
    flight.assign(Take())
    assert not flight.reconcile("it died")
    assert told == []
    assert not source.exhausted
    assert flight.assign(Take()).work == again.to_json()


def test_only_trials_that_had_begun_are_told_to_come_again_and_all_are_handed_out_again(
    make_study: Make, results: Path
) -> None:
    works = works_of(make_study(seeds=2))
    flight, source, told = flight_of(works, results)
    first, second = works[0].trial.trial_id, works[1].trial.trial_id
    handed = [flight.assign(Take()).work for _ in range(2)]
    flight.observe(TrialEvent(kind="started", trial_id=first))
    assert flight.started == {first}
    flight.observe(TrialEvent(kind="epoch", trial_id=first, epoch=2, saved=2))
    assert flight.reconcile("it died"), "a checkpoint is an achievement"
    assert [(event.kind, event.trial_id, event.epoch) for event in told[2:]] == [("retried", first, 2)]
    assert flight.started == set()
    assert [flight.assign(Take()).work for _ in range(4)] == [*handed, works[2].to_json(), works[3].to_json()]
    flight.observe(TrialEvent(kind="started", trial_id=second))
    flight.observe(TrialEvent(kind="epoch", trial_id=second, epoch=2, resumed=2, saved=2))
    assert not flight.reconcile("it died"), "it has only gone on from where it was"
    assert source.take() is not None


def test_a_trial_whose_worker_died_waits_at_the_epoch_of_its_checkpoint(make_study: Make, results: Path) -> None:
    (work,) = works_of(make_study({"A": 0.5}, seeds=1))
    flight, _, told = flight_of([work], results)
    trial_id = work.trial.trial_id
    flight.assign(Take())
    flight.observe(TrialEvent(kind="started", trial_id=trial_id))
    flight.observe(TrialEvent(kind="epoch", trial_id=trial_id, epoch=4, saved=3))
    flight.observe(TrialEvent(kind="retried", trial_id=trial_id, failure="worker_killed"))
    assert told[-1].epoch == 3


def test_a_trial_under_which_one_driver_after_the_other_dies_is_given_up(make_study: Make, results: Path) -> None:
    works = works_of(make_study(seeds=1))
    flight, source, told = flight_of(works, results)
    bad, good = (work.trial.trial_id for work in works)
    for death in range(4):
        flight.assign(Take())
        flight.assign(Take())
        for trial_id in (bad, good):
            flight.observe(TrialEvent(kind="started", trial_id=trial_id))
        flight.observe(TrialEvent(kind="epoch", trial_id=good, epoch=death + 1, saved=death + 1))
        flight.reconcile("it died")
    (failed,) = [event for event in told if event.kind == "failed"]
    assert (failed.trial_id, failed.failure) == (bad, "worker_killed")
    assert Ledger(results).states()[bad].failure == "worker_killed"
    assert not source.exhausted
    assert flight.assign(Take()).work == works[1].to_json()
    assert flight.assign(Take()).finished


def test_a_trial_that_waits_for_a_larger_share_of_a_gpu_gets_it_from_the_next_driver(
    make_study: Make, results: Path
) -> None:
    (work,) = works_of(make_study({"A": 0.5}, seeds=1))
    flight, _, _ = flight_of([work], results, share=0.25)
    trial_id = work.trial.trial_id
    assert flight.assign(Take()).share == 0.25
    flight.observe(TrialEvent(kind="started", trial_id=trial_id))
    flight.observe(TrialEvent(kind="failed", trial_id=trial_id, failure="oom_gpu", error="no memory"))
    assert flight.has_trials
    flight.reconcile("it died")
    again = flight.assign(Take())
    assert (again.work, again.share) == (work.to_json(), 0.5)
    flight.reconcile("it died")
    third = flight.assign(Take())
    assert (third.work, third.share) == (work.to_json(), 0.5)


def test_who_waited_for_a_trial_that_runs_nowhere_any_more_leads_itself_or_takes_over_what_that_had_left() -> None:
    trials = taus()
    for left in (False, True):
        stages = plan_stages(trials)
        shelf = {stages.chain("a0")[0].key} if left else set[str]()
        queue = TrialQueue([Work(trial=trial) for trial in trials], stages, exists=shelf.__contains__)
        works = [queue.pop(), queue.pop()]
        assert [work and work.trial.trial_id for work in works] == ["a0", None]
        queue.put_back("a0")
        assert len(queue) == 3
        names = [work.trial.trial_id if (work := queue.pop()) is not None else None for _ in range(3)]
        assert names == (["a0", "b0", "c0"] if left else ["a0", None, None])


@pytest.mark.parametrize("when", ["checkpoint", "record", "failure"])
def test_a_worker_of_a_driver_that_was_replaced_writes_nothing(
    make_study: Make, results: Path, script: Script, when: str
) -> None:
    script(A={"epochs": 2, "fail": "bug" if when == "failure" else None, "at": 2})
    (work,) = works_of(make_study({"A": 0.5}, seeds=1))
    place = Location.of(results)
    every = 0.0 if when == "checkpoint" else 1000.0
    settings = WorkerSettings(
        results=str(results),
        runner="scripted_runner:ScriptedRunner",
        checkpoint_every_s=every,
        fence=raise_fence(place),
    )
    worker = TrialWorker(settings)
    worker.begin(work)
    if when != "checkpoint":
        assert worker.step().kind == "epoch"
    assert raise_fence(place) == current_fence(place) == 2
    assert worker.step().kind == "interrupted"
    assert Ledger(results).states() == {}
    assert not list((results / "checkpoints").glob("*/*"))
    assert journal(results)[-1].startswith("close")


def test_a_worker_that_takes_a_trial_when_the_run_stops_leaves_it_alone(make_study: Make, results: Path) -> None:
    (work,) = works_of(make_study({"A": 0.5}, seeds=1))
    flag = Location.of(results) / "stop"
    flag.write_atomic(b"")
    settings = WorkerSettings(results=str(results), runner="scripted_runner:ScriptedRunner", stop_flag=flag.address)
    worker = TrialWorker(settings)
    worker.begin(work)
    assert worker.step().kind == "interrupted"
    assert not (results / ".run").exists()
    assert journal(results) == []
