"""A race runs only the trials that it needs, and makes the same decisions however often it is interrupted."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_runner import journal
from test_run_inline import Watcher

from agrm_study.execution.dispatch.race import RaceState
from agrm_study.execution.progress.status import status
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.plan.expand import expand
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]

RUNNER = "racing_runner:RacingRunner"
ARMS = {"A": 0.5, "B": 0.6, "C": 0.7}
CLEAR = {  # C is far behind B and A after three seeds, B a little better than A
    "A": [0.80, 0.82, 0.81, 0.80, 0.83, 0.81],
    "B": [0.81, 0.82, 0.83, 0.81, 0.82, 0.83],
    "C": [0.20, 0.221, 0.209, 0.20, 0.23, 0.21],
}


@pytest.fixture
def race(make_study: Make, run: Run, results: Path) -> Callable[..., RunSummary]:
    """Runs a race over given scores."""

    def go(
        scores: dict[str, list[float]] = CLEAR, *, seeds: Any = None, arms: dict[str, float] = ARMS, **options: Any
    ) -> RunSummary:
        (results / "scores.json").write_text(json.dumps(scores))
        given = {"race": {"first": 3, "most": 6}} if seeds is None else seeds
        extra = options.pop("study", {})
        return run(make_study(arms, seeds=given, **extra), runner=RUNNER, **options)

    return go


def log(results: Path) -> RaceLog:
    found = RaceLog.read(Location.of(results))
    assert found is not None
    return found


def starts(results: Path) -> list[str]:
    return [line.removeprefix("start ") for line in journal(results) if line.startswith("start")]


def test_an_arm_that_is_out_gets_no_more_seeds_and_the_study_is_complete_without_them(
    race: Callable[..., RunSummary], results: Path
) -> None:
    watcher = Watcher()
    summary = race(view=watcher)
    assert starts(results) == [f"{arm} {seed}" for seed in range(3) for arm in "ABC"] + [
        f"{arm} {seed}" for seed in range(3, 6) for arm in "AB"
    ]
    assert (summary.total, summary.finished, summary.unfinished, summary.exit_code) == (15, 15, 0, 0)
    (stopped,) = log(results).stopped
    assert (stopped.arm, stopped.n, stopped.rival, stopped.pairs) == ("C", 3, "A", 3)
    assert stopped.p < stopped.limit == pytest.approx(0.05 / (3 * 2))
    assert log(results).looked == {"three_class": 5}
    assert any("C stops after 3 seeds: A is better on validation data by 0.6" in m for m in watcher.messages)


def test_weights_of_an_arm_that_is_out_are_removed_where_only_reported_ones_are_kept(
    race: Callable[..., RunSummary], results: Path
) -> None:
    assert race(study={"keep_weights": "reported"}).exit_code == 0
    trials = Ledger(results).trials().set_index("trial_id")["arm"]
    kept = {trials[file.parent.name] for file in results.glob("checkpoints/*/best.safetensors")}
    assert kept == {"A", "B"}
    before = journal(results)
    race(study={"keep_weights": "reported"})
    assert journal(results) == before


def test_a_second_run_runs_nothing_and_says_the_same(race: Callable[..., RunSummary], results: Path) -> None:
    race()
    before, file = journal(results), (results / "race.json").read_bytes()
    summary = race()
    assert (summary.before, summary.finished, summary.exit_code) == (15, 0, 0)
    assert journal(results) == before
    assert (results / "race.json").read_bytes() == file


def test_the_reference_is_never_dropped(race: Callable[..., RunSummary], results: Path) -> None:
    behind = {"A": CLEAR["C"], "B": CLEAR["B"], "C": CLEAR["A"]}
    assert race(behind).finished == 18
    assert log(results).stopped == ()


def test_arms_that_do_not_differ_get_all_seeds(race: Callable[..., RunSummary], results: Path) -> None:
    same = dict.fromkeys("ABC", CLEAR["A"])
    assert race(same).finished == 18
    assert log(results).stopped == ()


@pytest.mark.parametrize("at", [1, 5, 9, 10, 14])
def test_a_race_that_is_interrupted_anywhere_comes_to_the_same_end(
    race: Callable[..., RunSummary], results: Path, tmp_path: Path, at: int
) -> None:
    finished = []

    def interrupt(event: TrialEvent) -> None:
        finished.append(event.kind == "finished")
        if sum(finished) == at and event.kind == "finished":
            os.kill(os.getpid(), signal.SIGINT)

    assert race(view=Watcher(interrupt)).exit_code == 130
    (results / "race.json").unlink()  # it only tells: the records decide
    again = race()
    assert (again.before, again.finished, again.exit_code) == (at, 15 - at, 0)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    (undisturbed / "script.json").write_text("{}")
    (undisturbed / "scores.json").write_text(json.dumps(CLEAR))
    race(results=undisturbed)
    assert (results / "race.json").read_bytes() == (undisturbed / "race.json").read_bytes()
    assert Ledger(results).finished_ids() == Ledger(undisturbed).finished_ids()


def test_a_look_sees_only_the_seeds_of_its_round_even_when_more_are_recorded(
    race: Callable[..., RunSummary], results: Path
) -> None:
    late = CLEAR | {"C": [0.80, 0.81, 0.83, 0.1, 0.1, 0.1]}  # equal at first, far behind later
    race(late, seeds=6)
    assert not (results / "race.json").exists()
    summary = race(late)
    assert summary.finished == 0
    assert [(s.arm, s.n) for s in log(results).stopped] == []  # at 4 and 5 seeds the spread is too large to tell


def test_a_study_that_races_no_more_forgets_the_race_and_runs_what_it_spared(
    race: Callable[..., RunSummary], results: Path
) -> None:
    race()
    assert race(seeds=6).finished == 3
    assert not (results / "race.json").exists()


def test_an_arm_that_keeps_failing_is_held_in_all_rounds_and_holds_up_nobody(
    race: Callable[..., RunSummary], results: Path, script: Callable[..., None]
) -> None:
    script(C={"fail": "bug"})
    summary = race()
    assert (len(summary.failed), summary.held, summary.finished) == (3, 3, 12)
    assert summary.exit_code == 1
    assert log(results).stopped == ()


def test_a_trial_that_fails_for_good_leaves_its_seed_out_of_the_comparison(
    race: Callable[..., RunSummary], results: Path, script: Callable[..., None]
) -> None:
    script(C={"fail": "nan", "seeds": [1]})
    race(CLEAR, seeds={"race": {"first": 4, "most": 6}})
    (stopped,) = log(results).stopped
    assert (stopped.arm, stopped.n, stopped.pairs) == ("C", 4, 3)


def test_tasks_race_on_their_own(race: Callable[..., RunSummary], results: Path) -> None:
    summary = race(study={"tasks": ["two_class", "three_class"]})
    assert summary.finished == 30
    assert sorted((s.arm, s.task) for s in log(results).stopped) == [("C", "three_class"), ("C", "two_class")]


def test_status_counts_only_what_the_race_still_asks_for(race: Callable[..., RunSummary], results: Path) -> None:
    race()
    found = status(results)
    assert (found.total, found.finished, found.waiting) == (15, 15, 0)
    assert found.race is not None
    assert [s.arm for s in found.race.stopped] == ["C"]
    assert {arm.arm: arm.finished for arm in found.arms} == {"A": 6, "B": 6, "C": 3}


def test_a_plan_knows_the_fewest_and_the_most_trials_that_a_race_may_run(
    race: Callable[..., RunSummary], results: Path, make_study: Make
) -> None:
    study = make_study(ARMS, seeds={"race": {"first": 3, "most": 6}})
    plan = expand(study, lambda recipe: ("data", "split"))
    every = {trial.trial_id for trial in plan.trials}
    before = RaceState(study, plan, Location.of(results), every)
    assert (before.at_least(every), before.at_most(every)) == (2 * 3 + 6, 3 * 6)
    race()
    left = every - Ledger(results).finished_ids()
    after = RaceState(study, plan, Location.of(results), left)
    assert len(left) == 3
    assert (after.at_least(left), after.at_most(left)) == (0, 0)
    assert after.log() == log(results)


def test_rounds_of_several_seeds_look_less_often(race: Callable[..., RunSummary], results: Path) -> None:
    rng = np.random.default_rng(0)
    scores = {arm: list(0.8 + rng.normal(0, 0.05, 9)) for arm in "ABC"}
    race(scores, seeds={"race": {"first": 3, "most": 9, "step": 4}})
    assert log(results).looked == {"three_class": 7}
    assert starts(results)[9] == "A 3"


def test_a_race_runs_on_ray_to_the_same_end(race: Callable[..., RunSummary], results: Path) -> None:
    summary = race(executor="ray", slots=2)
    assert (summary.total, summary.finished, summary.exit_code) == (15, 15, 0)
    assert [(s.arm, s.n) for s in log(results).stopped] == [("C", 3)]
    wanted = {f"{arm} {seed}" for arm in "AB" for seed in range(6)} | {f"C {seed}" for seed in range(3)}
    assert sorted(starts(results)) == sorted(wanted)
