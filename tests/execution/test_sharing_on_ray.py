"""Trials on Ray wait for each other without holding a slot, also when workers die or states cannot be saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_runner import journal
from test_run_inline import Watcher, outcome, same

from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]

ARMS = {"A": 0.5, "B": 0.6, "C": 0.7}
SHORT_PRETRAINING = {"ssl.pretrain_epochs": 3, "ssl.ramp.epochs": 1}


def alone(make: Make, run: Run, tmp_path: Path, seeds: int, epochs_of_a: int = 6) -> tuple[object, ...]:
    other = tmp_path / "alone"
    other.mkdir()
    (other / "script.json").write_text(json.dumps({"A": {"epochs": epochs_of_a}, "*": {"epochs": 6}}))
    assert run(make(ARMS, seeds=seeds, set=SHORT_PRETRAINING), results=other).exit_code == 0
    return outcome(other)


def test_inline_one_trial_of_a_seed_trains_what_they_share(
    make_study: Make, run: Run, results: Path, script: Script, tmp_path: Path
) -> None:
    script(**{"*": {"epochs": 6}})
    summary = run(make_study(ARMS, seeds=2, set=SHORT_PRETRAINING, sharing=True))
    assert (summary.exit_code, summary.inherited) == (0, 2 * 2 * 3)
    leaves = [line for line in journal(results) if not line.startswith(("start", "close"))]
    assert sorted(leaves) == sorted(
        [f"leave A {s} 3" for s in (0, 1)] + [f"take-over {arm} {s} 3" for arm in "BC" for s in (0, 1)]
    )
    assert same(outcome(results), alone(make_study, run, tmp_path, 2))


def test_a_state_that_cannot_be_saved_for_others_is_told_once_and_costs_only_time(
    make_study: Make, run: Run, results: Path, script: Script, tmp_path: Path
) -> None:
    script(**{"*": {"epochs": 6, "fail": "leave"}})
    summary = run(make_study(ARMS, seeds=1, set=SHORT_PRETRAINING, sharing=True))
    assert (summary.exit_code, summary.inherited) == (0, 0)
    assert sum("No space left" in message for message in summary.messages) == 1
    assert same(outcome(results), alone(make_study, run, tmp_path, 1))


def test_on_ray_a_follower_gets_the_free_slot_at_once_when_its_leader_has_left_the_stage(
    make_study: Make, run: Run, results: Path, script: Script, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    leader = {"epochs": 20, "epoch_s": 0.5, "fail": "kill", "at": 20, "times": 1}
    script(**{"A": leader, "other": {"epochs": 1}, "*": {"epochs": 6}})
    told: list[tuple[float, TrialEvent]] = []
    watcher = Watcher(lambda event: told.append((time.monotonic(), event)))
    arms = ARMS | {"other": {"optimizer.lr": 0.01}}  # shares nothing, and leaves a warm worker behind
    study = make_study(arms, seeds=1, set=SHORT_PRETRAINING, sharing=True)
    summary = run(study, executor="ray", slots=2, view=watcher)
    assert (summary.exit_code, summary.finished, summary.inherited) == (0, 4, 6), summary.failed
    assert [event.kind for _, event in told].count("retried") == 1
    ((left_at, left),) = [(at, event) for at, event in told if event.saved_stage]
    starts: dict[str, float] = {}
    for at, event in told:
        if event.kind == "started":
            starts.setdefault(event.trial_id, at)
    ends = {event.trial_id: at for at, event in told if event.kind == "finished"}
    _, _, first_follower, _ = starts
    assert left_at < starts[first_follower] < ends[left.trial_id]
    assert [line for line in journal(results) if line.startswith("leave")] == ["leave A 0 3"]
    trials, epochs, predictions = outcome(results)
    kept = trials["arm"] != "other"
    ids = set(trials["trial_id"][kept])
    parts = [table[table["trial_id"].isin(ids)].reset_index(drop=True) for table in (trials, epochs, predictions)]
    assert same(parts, alone(make_study, run, tmp_path, 1, epochs_of_a=20))


@pytest.mark.slow
def test_on_ray_slots_that_wait_for_a_leader_keep_their_workers_warm(
    make_study: Make, run: Run, results: Path, script: Script
) -> None:
    pytest.importorskip("ray")
    short = {
        "epochs": 1,
        "epoch_s": 6.0,
    }  # longer than a worker takes to start: x and y, and later B and C, run beside each other
    script(**{"A": {"epochs": 4, "epoch_s": 5.0}, "x": short, "y": short, "*": {"epochs": 4, "epoch_s": 6.0}})
    arms = ARMS | {name: {"optimizer.lr": rate} for name, rate in (("x", 0.01), ("y", 0.02))}
    watcher = Watcher()
    study = make_study(arms, seeds=1, set=SHORT_PRETRAINING, sharing=True)
    summary = run(study, executor="ray", slots=3, view=watcher)
    assert (summary.exit_code, summary.finished) == (0, 5), summary.failed
    # x and y end while A is on its way to what B and C wait for; Tune's own cache would have one of the two start anew
    assert len({event.pid for event in watcher.events if event.kind == "finished"}) <= 3
