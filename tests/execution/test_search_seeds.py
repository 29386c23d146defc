"""A point of a search may have several seeds: its objective is their mean, and unpromising points end early."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest
from named_data import search_plan
from scripted_runner import journal
from test_run_inline import Watcher

from agrm_study.execution.dispatch.judged import Judged
from agrm_study.execution.dispatch.search_point import MIN_EARLIER, Point, hopeless
from agrm_study.execution.progress.status import status
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.search_log import SearchLog
from agrm_study.study.resolved import read_resolved
from agrm_study.study.study import Study

TAU = "ssl.threshold.tau"
SearchOf = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]


@pytest.fixture
def hunt(run: Run) -> Run:
    return lambda study, **options: run(study, runner="search_runner:NoisySearchRunner", **options)


def points(results: Path) -> list[tuple[float, list[float]]]:
    """τ of each point in the order of drawing, with its scores by seed, from the records."""
    log = SearchLog.read(Location.of(results))
    assert log is not None
    epochs = Ledger(results).epochs()
    rows = epochs[epochs["split"] == "val"].groupby("trial_id")["macro_f1"].last()
    return [(p.settings[TAU], [rows[t] for t in p.trial_ids if t in rows.index]) for p in log.proposals]


def expected_lengths(scores: list[list[float]], seeds: int) -> list[int]:
    """The rule in its words, over the scores of all seeds: how many seeds each point gets."""
    lengths: list[int] = []
    for number, own in enumerate(scores):
        k = 1
        while k < seeds:
            earlier = [fmean(scores[m][:k]) for m in range(number) if lengths[m] >= k]
            if len(earlier) >= MIN_EARLIER and fmean(own[:k]) < median(earlier):
                break
            k += 1
        lengths.append(k)
    return lengths


def full_scores(results: Path, tau: float) -> list[float]:
    from search_runner import noisy_score

    return [noisy_score(tau, seed) for seed in (1000, 1001, 1002)]


def point(*scores: float, end: Any = None) -> Point:
    return Point((), trials=[Judged((score,)) for score in scores], end=end)


def test_a_point_below_the_median_of_four_earlier_ones_is_hopeless() -> None:
    earlier = [point(s) for s in (0.1, 0.2, 0.3, 0.4)]
    assert hopeless(point(0.24), earlier, maximize=True) is True
    assert hopeless(point(0.25), earlier, maximize=True) is False
    assert hopeless(point(0.24), earlier, maximize=False) is False
    assert hopeless(point(0.26), earlier, maximize=False) is True
    assert hopeless(point(0.0), earlier[:3], maximize=True) is False


def test_means_are_compared_over_the_same_seeds_and_only_of_points_that_have_them() -> None:
    earlier = [point(0.9, 0.1), point(0.9, 0.1), point(0.9, 0.1), point(0.9, 0.1), point(0.95, end="dropped")]
    assert hopeless(point(0.91), earlier, maximize=True) is False
    assert hopeless(point(0.89), earlier, maximize=True) is True
    assert hopeless(point(0.5, 0.51), earlier, maximize=True) is False
    assert hopeless(point(0.5, 0.49), earlier, maximize=True) is True


def test_a_decision_waits_for_earlier_points_that_have_fewer_seeds_and_go_on() -> None:
    done = [point(s) for s in (0.1, 0.2, 0.3, 0.4)]
    assert hopeless(point(0.2), [*done, point()], maximize=True) is None
    assert hopeless(point(0.2), [*done, point(end="failed")], maximize=True) is True
    assert hopeless(point(0.2, 0.2), [*done, point(0.9)], maximize=True) is None


def test_points_get_the_seeds_that_the_rule_gives_them(search_of: SearchOf, hunt: Run, results: Path) -> None:
    summary = hunt(search_of(trials=12, point_seeds=3, promote=2))
    assert summary.exit_code == 0
    found = points(results)
    lengths = expected_lengths([full_scores(results, tau) for tau, _ in found], 3)
    assert [len(scores) for _, scores in found] == lengths
    assert 12 < sum(lengths) < 36
    assert (summary.total, summary.finished) == (sum(lengths) + 3 * 2,) * 2
    whole = [(fmean(scores), tau) for tau, scores in found if len(scores) == 3]
    best = [tau for _, tau in sorted(whole, reverse=True)[:2]]
    assert [arm.settings.get(TAU) for arm in read_resolved(results / "study.yaml").arms] == [None, *best]


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_an_interrupted_search_of_several_seeds_continues_as_if_it_had_not_been(
    search_of: SearchOf, hunt: Run, results: Path, whole: Path, sampler: str
) -> None:
    study = search_of(trials=12, point_seeds=3, sampler=sampler, promote=1)
    hunt(study, results=whole)
    for number in (2, 7, 14):

        def stop(event: TrialEvent, number: int = number) -> None:
            if event.kind == "epoch" and len(Ledger(results).finished_ids()) == number:
                os.kill(os.getpid(), signal.SIGINT)

        assert hunt(study, view=Watcher(stop)).exit_code == 130
    assert hunt(study).exit_code == 0
    assert points(results) == points(whole)
    before = journal(results)
    (results / "search.json").unlink()
    assert hunt(study).exit_code == 0
    assert journal(results) == before


def test_a_point_that_fails_on_one_seed_has_failed(
    search_of: SearchOf, hunt: Run, results: Path, script: Script
) -> None:
    script(**{"*": {"fail": "nan", "seeds": [1001]}})
    summary = hunt(search_of(trials=3, point_seeds=2, promote=1))
    assert (summary.diverged, summary.exit_code) == (3, 1)
    trials = Ledger(results).trials()
    assert trials[trials["phase"] == "search"].groupby("seed")["status"].unique().str[0].to_dict() == {
        1000: "finished",
        1001: "failed",
    }


def test_plan_and_status_count_seeds_of_points(search_of: SearchOf, hunt: Run, results: Path) -> None:
    def planned(study: Study) -> Any:
        plan = search_plan(study, results)
        return plan.summary

    study = search_of(trials=12, point_seeds=3, promote=1)
    its = planned(study)
    assert (its.trials, its.missing, its.trials_at_most, its.to_promote) == (12, 12, 36, 2)
    found: list[Any] = []

    def look(event: TrialEvent) -> None:
        if event.kind == "epoch" and len(Ledger(results).finished_ids()) == 4:
            found.append(status(results))

    hunt(study, view=Watcher(look))
    assert (found[0].finished, len(found[0].running), found[0].total) == (4, 1, 36 + 2 + 2)
    lengths = [len(scores) for _, scores in points(results)]
    its = planned(study)
    assert (its.finished, its.dropped, its.missing) == (lengths.count(3), 12 - lengths.count(3), 0)
    after = status(results)
    assert (after.total, after.waiting, after.finished) == (sum(lengths) + 4, 0, sum(lengths) + 4)
