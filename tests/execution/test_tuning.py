"""Arms are tuned equally: the same budget on validation data for each; best settings run with the reported seeds."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from named_data import search_plan
from scripted_runner import journal
from search_runner import score
from test_run_inline import Watcher

from agrm_study.execution.dispatch.budget import Limits
from agrm_study.execution.progress.status import status
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.plan.plan import read_cells
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.search_log import SearchLog
from agrm_study.study.errors import InputError
from agrm_study.study.resolved import read_resolved
from agrm_study.study.study import Study

TAU = "ssl.threshold.tau"
TunedOf = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]


def drawn(results: Path, arm: str, task: str = "three_class") -> list[float]:
    """The thresholds that the search of an arm drew, in order."""
    log = SearchLog.read(Location.of(results), arm, task)
    assert log is not None
    return [point.settings[TAU] for point in log.proposals]


def searched(results: Path) -> Any:
    trials = Ledger(results).trials()
    return trials[trials["phase"] == "search"]


def chosen(results: Path) -> dict[tuple[str, str], Any]:
    study = read_resolved(results / "study.yaml")
    return {(arm.name, task): its.settings[TAU] for arm in study.arms for task, its in arm.tuned.items()}


def test_every_arm_gets_the_same_budget_and_is_reported_with_its_best_point(
    tuned_of: TunedOf, hunt: Run, results: Path
) -> None:
    summary = hunt(tuned_of())
    assert (summary.total, summary.finished, summary.exit_code) == (2 * 4 + 2 * 2, 12, 0)
    best = {(arm, "three_class"): max(drawn(results, arm), key=score) for arm in ("A", "B")}
    assert chosen(results) == best
    assert searched(results).groupby("arm").size().to_dict() == {"A": 4, "B": 4}
    assert set(searched(results)["seed"]) == {1000}
    trials = Ledger(results).trials().set_index("trial_id")
    for cell in read_cells(results / "plan.json"):
        row = trials.loc[cell.trial_id]
        assert (row["phase"], row["arm"], row["tau"]) == ("final", cell.arm, best[cell.arm, "three_class"])


def test_a_search_trial_bears_its_arms_name_and_settings_and_no_test_predictions(
    tuned_of: TunedOf, hunt: Run, results: Path
) -> None:
    hunt(tuned_of())
    rows = searched(results)
    params = [json.loads(text) for text in rows[rows["arm"] == "B"]["params"]]
    assert {p["model.pooling.name"] for p in params} == {"average"}
    assert sorted(p[TAU] for p in params) == sorted(drawn(results, "B"))
    assert set(rows["trial_id"]).isdisjoint(Ledger(results).predictions("test")["trial_id"])


def test_asking_again_runs_nothing_and_a_larger_budget_continues_each_search(
    tuned_of: TunedOf, hunt: Run, results: Path
) -> None:
    hunt(tuned_of())
    before, points = journal(results), {arm: drawn(results, arm) for arm in ("A", "B")}
    assert (hunt(tuned_of()).finished, journal(results)) == (0, before)
    assert hunt(tuned_of(trials=7)).exit_code == 0
    for arm, its in points.items():
        assert drawn(results, arm)[:4] == its
        assert len(drawn(results, arm)) == 7
        assert chosen(results)[arm, "three_class"] == max(drawn(results, arm), key=score)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_an_interrupted_tuning_continues_as_if_it_had_not_been(
    tuned_of: TunedOf, hunt: Run, results: Path, whole: Path, sampler: str
) -> None:
    study = tuned_of(sampler=sampler, trials=12)
    hunt(study, results=whole)
    for number in (3, 11, 22, 25):

        def stop(event: TrialEvent, number: int = number) -> None:
            if event.kind == "epoch" and len(Ledger(results).finished_ids()) == number:
                os.kill(os.getpid(), signal.SIGINT)

        stopped = hunt(study, view=Watcher(stop))
        assert stopped.exit_code == 130
        assert stopped.total == 2 * 12 + 2 * 2
    assert hunt(study).exit_code == 0
    assert {arm: drawn(results, arm) for arm in ("A", "B")} == {arm: drawn(whole, arm) for arm in ("A", "B")}
    assert chosen(results) == chosen(whole)
    assert Ledger(results).finished_ids() == Ledger(whole).finished_ids()


def test_the_records_alone_are_enough_to_go_on(tuned_of: TunedOf, hunt: Run, results: Path) -> None:
    hunt(tuned_of())
    before, winners = journal(results), chosen(results)
    for file in (results / "search").iterdir():
        file.unlink()
    assert hunt(tuned_of()).exit_code == 0
    assert (journal(results), chosen(results)) == (before, winners)


def test_each_task_has_a_search_and_a_winner_of_its_own(tuned_of: TunedOf, hunt: Run, results: Path) -> None:
    hunt(tuned_of({"tasks": ["two_class", "three_class"]}, sampler="tpe", trials=3))
    assert searched(results).groupby(["arm", "task"]).size().tolist() == [3, 3, 3, 3]
    assert chosen(results) == {
        (arm, task): max(drawn(results, arm, task), key=score)
        for arm in ("A", "B")
        for task in ("two_class", "three_class")
    }
    cells = read_cells(results / "plan.json")
    taus = Ledger(results).trials().set_index("trial_id")["tau"]
    assert {(c.arm, c.task): taus[c.trial_id] for c in cells} == chosen(results)


def test_an_arm_with_a_space_of_its_own_is_tuned_over_that(tuned_of: TunedOf, hunt: Run, results: Path) -> None:
    space = {"ssl.threshold.tau": {"float": [0.8, 0.81]}}
    arms = [{"name": "A"}, {"name": "B", "set": {"model.pooling.name": "average"}, "tune": {"space": space}}]
    hunt(tuned_of({"arms": arms}))
    assert all(0.8 <= tau <= 0.81 for tau in drawn(results, "B"))
    assert not all(0.8 <= tau <= 0.81 for tau in drawn(results, "A"))
    again = read_resolved(results / "study.yaml")
    assert again.arm("B").space is not None
    assert again.arm("A").space is None


def test_trials_that_two_arms_share_run_once(tuned_of: TunedOf, hunt: Run, results: Path) -> None:
    arms = [{"name": "A"}, {"name": "again", "seed_offset": 100}]
    summary = hunt(tuned_of({"arms": arms}))
    assert (summary.exit_code, len(searched(results))) == (0, 4)
    assert drawn(results, "A") == drawn(results, "again")
    assert len(set(chosen(results).values())) == 1
    assert {cell.seed for cell in read_cells(results / "plan.json") if cell.arm == "again"} == {100, 101}
    before = journal(results)
    hunt(tuned_of({"arms": arms}))
    assert journal(results) == before


def test_trials_that_another_arm_has_trained_before_are_not_repeated(
    tuned_of: TunedOf, hunt: Run, results: Path
) -> None:
    hunt(tuned_of({"arms": [{"name": "A"}]}))
    hunt(tuned_of({"arms": [{"name": "A"}, {"name": "again", "seed_offset": 100}]}))
    assert len(searched(results)) == 4
    assert drawn(results, "A") == drawn(results, "again")


def test_a_point_that_another_arm_has_drawn_is_no_draw_of_this_arm(
    tuned_of: TunedOf, hunt: Run, results: Path, whole: Path
) -> None:
    space, mirrored = ({TAU: {"choice": values}} for values in ([0.5, 0.6, 0.8, 0.9], [0.9, 0.8, 0.6, 0.5]))
    arms = [{"name": "A"}, {"name": "B", "seed_offset": 100, "tune": {"space": mirrored}}]
    hunt(tuned_of({"arms": arms}, space=space, trials=1), results=whole)
    hunt(tuned_of({"arms": arms[:1]}, space=space, trials=1))
    hunt(tuned_of({"arms": arms}, space=space, trials=1))
    assert drawn(results, "B") == drawn(whole, "B") != drawn(whole, "A")


def test_an_arm_whose_search_keeps_failing_is_held_back_and_the_others_are_reported(
    tuned_of: TunedOf, hunt: Run, results: Path, script: Script
) -> None:
    script(B={"fail": "bug"})
    summary = hunt(tuned_of(trials=5))
    assert (len(summary.failed), summary.finished, summary.held, summary.exit_code) == (3, 5 + 2, 2 + 2, 1)
    assert any(message.startswith("The tuning of B stops here") for message in summary.messages)
    assert {cell.arm for cell in read_cells(results / "plan.json")} == {"A"}
    found = status(results)
    assert (found.total, found.finished, found.failed, found.held, found.waiting) == (14, 7, 3, 4, 0)
    script()
    assert hunt(tuned_of(trials=5), retry_failed=True).exit_code == 0
    assert len(read_cells(results / "plan.json")) == 4


def test_an_arm_none_of_whose_points_can_be_chosen_is_not_reported_untuned(
    tuned_of: TunedOf, hunt: Run, results: Path, script: Script
) -> None:
    script(B={"fail": "nan"})
    summary = hunt(tuned_of())
    assert (summary.diverged, summary.exit_code) == (4, 1)
    assert any("B finished with a defined metric: it is not tuned" in message for message in summary.messages)
    assert {cell.arm for cell in read_cells(results / "plan.json")} == {"A"}
    assert search_plan(tuned_of(), results).summary.nothing_to_promote


def test_plan_states_the_budget_the_cost_and_what_each_arm_has_chosen(
    tuned_of: TunedOf, hunt: Run, results: Path
) -> None:
    study = tuned_of()
    before = search_plan(study, results)
    assert (before.summary.trials, before.summary.missing, before.summary.to_promote) == (8, 8, 4)
    assert len(before.stand_ins) == 8 + 4
    assert [arm.settings for arm in before.summary.tuned] == [None, None]
    hunt(study)
    after = search_plan(study, results)
    assert (after.summary.finished, after.summary.missing, after.summary.to_promote) == (8, 0, 0)
    found = {(arm.arm, arm.task): arm.settings[TAU] for arm in after.summary.tuned if arm.settings is not None}
    assert found == chosen(results)


def test_status_counts_the_trials_of_each_arms_search(tuned_of: TunedOf, hunt: Run, results: Path) -> None:
    found: list[Any] = []

    def look(event: TrialEvent) -> None:
        if event.kind == "epoch" and len(drawn(results, "B")) == 2:
            found.append(status(results))

    hunt(tuned_of(), view=Watcher(look))
    state = found[0]
    assert (state.total, state.finished, len(state.running), state.waiting) == (12, 3, 1, 8)
    assert [(arm.arm, arm.finished, arm.running, arm.waiting) for arm in state.search.tuned] == [
        ("A", 2, 0, 2),
        ("B", 1, 1, 2),
    ]
    assert state.search.tuned[0].best == pytest.approx(max(map(score, drawn(results, "A")[:2])) * 0.8)
    assert state.running[0].arms[0].startswith("B: τ=")
    assert json.loads(json.dumps(state.to_dict()))["search"]["tuned"][0]["arm"] == "A"


def test_a_space_without_a_setting_that_acts_is_one_message(tuned_of: TunedOf, hunt: Run) -> None:
    arms = [{"name": "A"}, {"name": "S", "set": {"ssl.method": "supervised"}}]
    with pytest.raises(InputError, match=r"the arm S has nothing to tune: no setting in its space has an effect"):
        hunt(tuned_of({"arms": arms}))


def test_a_tuning_in_parts_of_limited_time_ends_as_one_run(
    tuned_of: TunedOf, hunt: Run, results: Path, script: Script, whole: Path
) -> None:
    assert hunt(tuned_of(), results=whole).exit_code == 0
    script(**{"*": {"epoch_s": 0.05}})
    codes = []
    while not codes or (codes[-1] == 130 and len(codes) < 200):
        codes.append(hunt(tuned_of(), limits=Limits(time_s=1.5 + len(codes))).exit_code)  # longer on busy machines
    assert codes[-1] == 0
    assert len(codes) > 1
    assert chosen(results) == chosen(whole)
    for arm in {arm for arm, _ in chosen(whole)}:
        assert drawn(results, arm) == drawn(whole, arm)
    starts = [line for line in journal(results) if line.startswith("start")]
    assert len(starts) >= len(Ledger(whole).trials())


def measured(results: Path) -> Any:
    from agrm_study.report.collect import collect
    from agrm_study.report.measure import Measurements

    return Measurements(collect(results))


def test_the_table_of_the_tuning_shows_budget_choice_and_score_of_each_arm(
    tuned_of: TunedOf, hunt: Run, results: Path
) -> None:
    from agrm_study.report.tables import table_kind

    arms = [
        {"name": "A"},
        {"name": "B", "set": {"model.pooling.name": "average"}, "tune": {"space": {TAU: {"float": [0.8, 0.9]}}}},
        {"name": "again", "seed_offset": 100},
    ]
    hunt(tuned_of({"arms": arms}))
    table = table_kind("tuned").build(measured(results))
    keys = [column.key for column in table.columns]
    assert keys == ["task", "arm", "points", TAU, "best_val_macro_f1"]
    shown = {
        row.entries[1].text: {key: entry.value for key, entry in zip(keys, row.entries, strict=True)}
        for row in table.rows
    }
    for arm in ("A", "B", "again"):  # the third shares its trials with the first, whose name they bear
        best = max(drawn(results, arm), key=score)
        assert (shown[arm]["points"], shown[arm][TAU]) == (4, best)
        assert shown[arm]["best_val_macro_f1"] == pytest.approx(score(best) * 0.8)
    [first, *others] = table.notes
    assert first.startswith("Each arm was tuned with 4 trials on validation data (random, macro F1) before")
    assert any(note.startswith("Search space of A and again: τ 0.5–0.99") for note in others)
    assert any(note.startswith("Search space of B: τ 0.8–0.9") for note in others)
    assert table_kind("promoted").unfit(measured(results)) is not None


def test_every_comparison_states_the_budget_and_an_untuned_arm_is_named(
    tuned_of: TunedOf, hunt: Run, results: Path, script: Script
) -> None:
    from agrm_study.report.tables import table_kind

    script(B={"fail": "nan"})
    hunt(tuned_of())
    m = measured(results)
    notes = " ".join(table_kind("arms").build(m).notes)
    assert "Each arm was tuned with 4 trials on validation data" in notes
    assert "Not tuned yet, so no results are shown: B." in notes
    assert m.evidence.partial is not None
    points = [row.entries[2] for row in table_kind("tuned").build(m).rows]
    assert [entry.parts["failed"] for entry in points] == [0, 4]


def test_the_expected_score_of_a_budget_starts_at_the_mean_and_ends_below_the_best(
    tuned_of: TunedOf, hunt: Run, results: Path
) -> None:
    from agrm_study.report.figures import figure_kind

    hunt(tuned_of(trials=6))
    kind = figure_kind("tuning_budget")
    info = kind.info(measured(results))
    assert info is not None
    [(task, curves)] = info.tasks
    assert (task, [curve.arm for curve in curves]) == ("three_class", ["A", "B"])
    for curve in curves:
        scores = [score(tau) * 0.8 for tau in drawn(results, curve.arm)]
        assert curve.mean_K[0] == pytest.approx(sum(scores) / 6)
        assert list(curve.mean_K) == sorted(curve.mean_K)
        assert curve.mean_K[-1] < max(scores)
        assert curve.high_K.max() <= max(scores)
        assert curve.low_K.min() >= min(scores)
    assert "Dodge et al. 2019" in kind.caption(info)
    kind.draw(info)
