"""A study that is killed repeatedly makes the same decisions as an undisturbed one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_run_inline import Watcher

from agrm_study.execution.dispatch.sampler import Draw, End, Sampler
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.execution.trial.worker import TrialWorker
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.records.search_log import SearchLog
from agrm_study.study.study import Study

NOISY = "noisy_runner:NoisyRunner"
Run = Callable[..., RunSummary]
SearchOf = Callable[..., Study]
Make = Callable[..., Study]


class Killed(BaseException):
    """The driver's process ends here."""


class KilledAtRandom(Watcher):
    """Kills the driver before it takes note of an event, or after, with a probability of one in `one_in`."""

    def __init__(self, rng: random.Random, one_in: int) -> None:
        super().__init__()
        self.rng, self.one_in = rng, one_in

    def event(self, event: TrialEvent, trial: Any) -> None:
        super().event(event, trial)
        self._perhaps()

    def refresh(self) -> None:
        self._perhaps()

    def _perhaps(self) -> None:
        if self.rng.randrange(2 * self.one_in) == 0:
            raise Killed


def run_with_kills(run: Run, study: Study, rng: random.Random, *, one_in: int = 10, **options: Any) -> int:
    """Runs a study until it ends by itself; gives the number of kills."""
    for kills in range(1000):
        try:
            summary = run(study, view=KilledAtRandom(rng, one_in), **options)
        except Killed:
            continue
        assert not summary.unfinished, summary
        return kills
    raise AssertionError("the study does not end")


@pytest.fixture
def rng(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> random.Random:
    """Decides when to kill, and after which epochs a rolling checkpoint is written."""
    rng = random.Random(request.node.name)
    save = TrialWorker._save
    monkeypatch.setattr(TrialWorker, "_save", lambda self, running: save(self, running) if rng.random() < 0.5 else None)
    return rng


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A second results folder."""
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / "script.json").write_text("{}")
    return folder


def decisions(results: Path) -> dict[str, tuple[Any, ...]]:
    """How each trial ended, and after how many epochs."""
    trials = Ledger(results).trials()
    columns = ["trial_id", "phase", "status", "stop_reason", "failure", "epochs"]
    return {row[0]: tuple(map(str, row[1:])) for row in trials[columns].itertuples(index=False)}


def points(results: Path) -> list[dict[str, Any]]:
    log = SearchLog.read(Location.of(results))
    assert log is not None
    return [proposal.settings for proposal in log.proposals]


SEARCHES: dict[str, dict[str, Any]] = {
    "asha": {"pruner": {"name": "asha", "grace_epochs": 2, "reduction_factor": 2}},
    "asha of every epoch": {"pruner": {"name": "asha", "grace_epochs": 1, "reduction_factor": 2}, "metric": "val/loss"},
    "median": {"pruner": {"name": "median", "grace_epochs": 2, "min_trials": 2}},
    "no pruner": {"pruner": {"name": "none"}, "metric": "val/loss"},
}
SPACE = {"ssl.threshold.tau": {"choice": [round(0.5 + n / 40, 3) for n in range(16)]}}
"""So small that points are drawn again."""


@pytest.mark.parametrize("search", list(SEARCHES))
def test_a_search_prunes_and_promotes_as_if_it_had_not_been_killed(
    search_of: SearchOf, run: Run, results: Path, alone: Path, rng: random.Random, search: str
) -> None:
    study = search_of(trials=12, promote=2, sampler="tpe", space=SPACE, **SEARCHES[search])
    kills = run_with_kills(run, study, rng, runner=NOISY)
    run(study, runner=NOISY, results=alone)
    assert kills > 3
    assert points(results) == points(alone)
    assert decisions(results) == decisions(alone)


@pytest.mark.parametrize("search", ["asha", "median"])
def test_a_search_that_goes_on_shows_its_pruner_what_the_run_before_has_shown_it(
    search_of: SearchOf, run: Run, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    shown: list[tuple[Any, ...]] = []
    report, tell = Sampler.report, Sampler.tell

    def on_report(self: Sampler, draw: Draw, epoch: int, value: float) -> bool:
        verdict = report(self, draw, epoch, value)
        shown.append((draw.handle.number, epoch, value, verdict))
        return verdict

    def on_tell(
        self: Sampler, draw: Draw, end: End, values: tuple[float, ...] | None = None, excess: tuple[float, ...] = ()
    ) -> None:
        tell(self, draw, end, values, excess)
        shown.append((draw.handle.number, end, repr(values)))

    monkeypatch.setattr(Sampler, "report", on_report)
    monkeypatch.setattr(Sampler, "tell", on_tell)
    study = search_of(trials=12, promote=0, sampler="tpe", space=SPACE, **SEARCHES[search])
    run(study, runner=NOISY)
    first = list(shown)
    shown.clear()
    run(study, runner=NOISY)
    assert any(row[1] == "pruned" for row in first)
    assert shown == first


def test_trials_that_reuse_a_pretraining_are_pruned_as_if_nothing_had_been_killed(
    search_of: SearchOf, run: Run, results: Path, alone: Path, rng: random.Random
) -> None:
    study = search_of(
        trials=12,
        promote=1,
        pruner={"name": "asha", "grace_epochs": 3, "reduction_factor": 2},
        also={"sharing": True, "set": {"ssl.pretrain_epochs": 3, "ssl.ramp.epochs": 1}},
    )
    kills = run_with_kills(run, study, rng, runner=NOISY)
    run(study, runner=NOISY, results=alone)
    assert kills > 3
    assert points(results) == points(alone)
    assert decisions(results) == decisions(alone)


SCORES = {
    "A": [0.80, 0.82, 0.81, 0.80, 0.83, 0.81, 0.80, 0.82],
    "B": [0.81, 0.82, 0.83, 0.81, 0.82, 0.83, 0.81, 0.82],
    "C": [0.20, 0.22, 0.21, 0.20, 0.23, 0.21, 0.20, 0.22],
    "D": [0.70, 0.80, 0.60, 0.50, 0.49, 0.48, 0.50, 0.51],
    "E": [0.81] * 8,
}


def test_a_race_drops_and_holds_back_the_same_arms_as_if_it_had_not_been_killed(
    make_study: Make, run: Run, results: Path, alone: Path, rng: random.Random
) -> None:
    for folder in (results, alone):
        (folder / "scores.json").write_text(json.dumps(SCORES))
        (folder / "script.json").write_text(json.dumps({"E": {"fail": "nan", "at": 2}}))
    arms = {name: 0.5 + number / 20 for number, name in enumerate(SCORES)}
    study = make_study(arms, seeds={"race": {"first": 4, "most": 8}})
    runner = "racing_runner:RacingRunner"
    kills = run_with_kills(run, study, rng, runner=runner)
    summary = run(study, runner=runner, results=alone)
    assert kills > 3
    assert summary.held == 5
    assert decisions(results) == decisions(alone)
    assert RaceLog.read(Location.of(results)) == RaceLog.read(Location.of(alone))


def test_an_arm_is_held_back_as_if_it_had_not_been_killed(
    make_study: Make, run: Run, results: Path, alone: Path, script: Callable[..., None], rng: random.Random
) -> None:
    script(B={"fail": "bug", "at": 2})
    (alone / "script.json").write_text((results / "script.json").read_text())
    study = make_study(seeds=8)
    kills = run_with_kills(run, study, rng, one_in=5)
    summary = run(study, results=alone)
    assert kills > 3
    assert (summary.finished, len(summary.failed), summary.held) == (8, 3, 5)
    assert decisions(results) == decisions(alone)
