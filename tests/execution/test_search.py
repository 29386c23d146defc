"""A search samples, prunes, resumes and promotes as specified in its study file, and never reads the test part."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from named_data import search_plan
from rich.console import Console
from scripted_runner import journal
from search_runner import score
from test_run_inline import Watcher

from agrm_study.execution.data.prepare import searched_recipes
from agrm_study.execution.progress.lines import LinesView
from agrm_study.execution.progress.live import LiveView
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

SearchOf = Callable[..., Study]
Run = Callable[..., RunSummary]
Script = Callable[..., None]


def drawn(results: Path) -> list[float]:
    """The thresholds of a search in the order in which they were drawn."""
    log = SearchLog.read(Location.of(results))
    assert log is not None
    return [p.settings["ssl.threshold.tau"] for p in log.proposals]


def searched(results: Path) -> Any:
    trials = Ledger(results).trials()
    return trials[trials["phase"] == "search"]


def started(results: Path) -> list[str]:
    return [line for line in journal(results) if line.startswith("start")]


def test_the_best_of_a_search_become_arms_with_the_studys_seeds(search_of: SearchOf, hunt: Run, results: Path) -> None:
    summary = hunt(search_of())
    assert (summary.total, summary.finished, summary.exit_code) == (5 + 3 * 2, 11, 0)
    best = sorted(drawn(results), key=score, reverse=True)[:2]
    study = read_resolved(results / "study.yaml")
    assert study.search is not None
    assert [arm.settings.get("ssl.threshold.tau") for arm in study.arms] == [None, *best]
    cells = read_cells(results / "plan.json")
    assert {cell.seed for cell in cells} == {0, 1}
    assert len(cells) == 6
    trials = Ledger(results).trials().set_index("trial_id")
    assert set(trials.loc[[cell.trial_id for cell in cells], "phase"]) == {"final"}
    assert set(searched(results)["seed"]) == {1000}


def test_no_prediction_of_the_test_part_is_written_by_a_search(search_of: SearchOf, hunt: Run, results: Path) -> None:
    hunt(search_of())
    ids = set(searched(results)["trial_id"])
    tested = Ledger(results).predictions("test")  # the runner hands test predictions over in every trial
    assert len(ids) == 5
    assert ids.isdisjoint(tested["trial_id"])
    assert tested["trial_id"].nunique() == 6
    assert not any((results / "checkpoints" / trial_id).exists() for trial_id in ids)


def test_asking_again_runs_nothing_and_asking_for_more_runs_what_is_missing(
    search_of: SearchOf, hunt: Run, results: Path
) -> None:
    hunt(search_of())
    before, points = started(results), drawn(results)
    again = hunt(search_of())
    assert (again.finished, again.before, again.exit_code) == (0, 11, 0)
    assert started(results) == before
    more = hunt(search_of(trials=8))
    assert more.exit_code == 0
    assert drawn(results)[:5] == points
    assert len(drawn(results)) == len(searched(results)) == 8


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "nsga2"])
def test_a_search_in_two_runs_draws_what_one_run_draws(
    search_of: SearchOf, hunt: Run, results: Path, whole: Path, sampler: str
) -> None:
    hunt(search_of(sampler=sampler, trials=8, promote=0))
    hunt(search_of(sampler=sampler, trials=12, promote=0))
    hunt(search_of(sampler=sampler, trials=12, promote=0), results=whole)
    assert drawn(results) == drawn(whole)


def test_the_records_alone_are_enough_to_go_on(search_of: SearchOf, hunt: Run, results: Path) -> None:
    hunt(search_of())
    (results / "search.json").unlink()
    before = started(results)
    assert hunt(search_of()).exit_code == 0
    assert started(results) == before


def test_tpe_draws_near_what_did_well(search_of: SearchOf, hunt: Run, results: Path) -> None:
    hunt(search_of(sampler="tpe", trials=40, promote=1))
    taus = drawn(results)
    early, late = (sum(map(score, part)) / len(part) for part in (taus[:10], taus[-10:]))
    assert late > early
    assert max(map(score, taus)) > 0.98


def test_a_stopped_trial_goes_on_before_anything_new_is_drawn(search_of: SearchOf, hunt: Run, results: Path) -> None:
    import os
    import signal

    def interrupt(event: TrialEvent) -> None:
        if event.kind == "epoch" and len(drawn(results)) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = hunt(search_of(), view=Watcher(interrupt))
    assert (stopped.exit_code, stopped.finished, stopped.unfinished) == (130, 1, 4 + 6)
    points = drawn(results)
    assert len(points) == 2
    watcher = Watcher()
    assert hunt(search_of(), view=watcher).exit_code == 0
    assert drawn(results)[:2] == points
    first = next(event for event in watcher.events if event.kind == "finished")
    assert first.resumed > 0
    assert len(searched(results)) == 5


def test_pruned_trials_are_marked_and_never_promoted(
    search_of: SearchOf, hunt: Run, results: Path, script: Script
) -> None:
    script(**{"*": {"epochs": 9}})
    pruner = {"name": "asha", "grace_epochs": 1, "reduction_factor": 3}
    watcher = Watcher()
    summary = hunt(search_of(trials=12, promote=12, pruner=pruner), view=watcher)
    assert summary.exit_code == 0
    rows = searched(results)
    assert set(rows["status"]) == {"finished"}
    pruned = rows[rows["stop_reason"] == "pruned"]
    full = rows[rows["stop_reason"] == "epochs"]
    assert len(pruned) > 0
    assert len(full) > 0
    assert len(pruned) + len(full) == 12
    assert set(pruned["epochs"]) <= {1, 3}
    assert set(full["epochs"]) == {9}
    taus = {json.loads(p)["ssl.threshold.tau"] for p in full["params"]}
    study = read_resolved(results / "study.yaml")
    assert {arm.settings["ssl.threshold.tau"] for arm in study.arms[1:]} == taus
    assert Ledger(results).predictions(trial_ids=list(pruned["trial_id"])).empty
    assert not list((results / ".run").glob("prune/*"))


def test_the_median_pruner_ends_trials_below_the_median_of_those_that_ended(
    search_of: SearchOf, hunt: Run, results: Path, script: Script
) -> None:
    script(**{"*": {"epochs": 5}})
    hunt(search_of(trials=12, promote=1, pruner={"name": "median", "grace_epochs": 2, "min_trials": 3}))
    rows = searched(results).set_index("trial_id")
    log = SearchLog.read(Location.of(results))
    assert log is not None
    done: list[float] = []
    for proposal in log.proposals:
        value = score(proposal.settings["ssl.threshold.tau"])
        middle = sorted(done)
        median = (middle[(len(middle) - 1) // 2] + middle[len(middle) // 2]) / 2 if done else math.nan
        below = len(done) >= 3 and value < median
        row = rows.loc[proposal.trial_id]
        assert (row["stop_reason"], row["epochs"]) == (("pruned", 2) if below else ("epochs", 5))
        if not below:
            done.append(value)


def test_a_pruned_search_in_two_runs_is_as_in_one(
    search_of: SearchOf, hunt: Run, results: Path, script: Script, tmp_path: Path
) -> None:
    script(**{"*": {"epochs": 9}})
    pruner = {"name": "asha", "grace_epochs": 1, "reduction_factor": 3}
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "script.json").write_text((results / "script.json").read_text())
    hunt(search_of(sampler="tpe", trials=7, promote=0, pruner=pruner))
    hunt(search_of(sampler="tpe", trials=14, promote=0, pruner=pruner))
    hunt(search_of(sampler="tpe", trials=14, promote=0, pruner=pruner), results=whole)
    columns = ["trial_id", "epochs", "stop_reason"]
    assert searched(results)[columns].equals(searched(whole)[columns])


def test_failed_trials_count_as_tried_and_are_not_promoted(
    search_of: SearchOf, hunt: Run, results: Path, script: Script
) -> None:
    hunt(search_of(trials=1, promote=0))
    [arm] = searched(results)["arm"]
    for folder in ("records", "checkpoints"):
        import shutil

        shutil.rmtree(results / folder, ignore_errors=True)
    (results / "search.json").unlink()
    script(**{arm: {"fail": "nan"}})
    summary = hunt(search_of())
    assert [f.failure for f in summary.failed] == ["nan_loss"]
    assert (summary.diverged, summary.exit_code) == (1, 0)  # a diverging setting is an answer
    assert len(searched(results)) == 5
    assert arm not in {a.name for a in read_resolved(results / "study.yaml").arms}
    before = started(results)
    assert hunt(search_of()).exit_code == 0
    assert started(results) == before


def test_a_search_of_which_every_trial_fails_stops_and_says_so(
    search_of: SearchOf, hunt: Run, results: Path, script: Script
) -> None:
    script(**{"*": {"fail": "bug"}})
    summary = hunt(search_of(trials=20))
    assert (len(summary.failed), summary.exit_code) == (3, 1)
    assert any("failed in the same way" in message for message in summary.messages)


def test_a_space_that_is_exhausted_ends_the_search(search_of: SearchOf, hunt: Run, results: Path) -> None:
    space = {"ssl.threshold.tau": {"choice": [0.6, 0.7, 0.8]}}
    summary = hunt(search_of(trials=9, promote=1, space=space))
    assert summary.exit_code == 0
    assert len(searched(results)) == 3
    assert sorted(set(drawn(results))) == [0.6, 0.7, 0.8]
    assert hunt(search_of(trials=9, promote=1, space=space)).finished == 0


IMPOSSIBLE = {"model.backbone": {"choice": ["r3d_18", "c3d"]}, "model.freeze": {"choice": [[], ["stem"], ["conv1"]]}}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_points_that_freeze_layers_that_their_backbone_lacks_are_drawn_but_never_trained(
    search_of: SearchOf, hunt: Run, results: Path, sampler: str
) -> None:
    summary = hunt(search_of(trials=4, promote=1, sampler=sampler, space=IMPOSSIBLE))
    assert (summary.exit_code, summary.failed) == (0, ())
    points = {(p["model.backbone"], tuple(p["model.freeze"])) for p in map(json.loads, searched(results)["params"])}
    assert points == {("r3d_18", ()), ("c3d", ()), ("r3d_18", ("stem",)), ("c3d", ("conv1",))}
    before = started(results)
    assert hunt(search_of(trials=9, promote=1, sampler=sampler, space=IMPOSSIBLE)).exit_code == 0
    assert started(results) == before  # there is no fifth possible point
    log = SearchLog.read(Location.of(results))
    assert log is not None
    assert {p.trial_id for p in log.proposals if (p.settings["model.backbone"], p.settings["model.freeze"])
            in (("r3d_18", ["conv1"]), ("c3d", ["stem"]))} == {""}  # fmt: skip


def test_a_loss_is_minimised_and_several_objectives_promote_a_front(
    search_of: SearchOf, hunt: Run, results: Path, tmp_path: Path
) -> None:
    hunt(search_of(metric="val/loss", promote=1, trials=6))
    best = max(drawn(results), key=score)
    assert read_resolved(results / "study.yaml").arms[1].settings["ssl.threshold.tau"] == best
    several = tmp_path / "several"
    several.mkdir()
    (several / "script.json").write_text("{}")
    study = search_of(metric=["val/macro_f1", "val/accuracy"], sampler="nsga2", trials=12, promote=3)
    assert hunt(study, results=several).exit_code == 0
    promoted = read_resolved(several / "study.yaml").arms[1:]
    assert [arm.settings["ssl.threshold.tau"] for arm in promoted] == [max(drawn(several), key=score)]


def test_a_narrowed_space_leaves_out_what_lies_outside(search_of: SearchOf, hunt: Run, results: Path) -> None:
    hunt(search_of(trials=6, promote=1))
    inside = [tau for tau in drawn(results) if tau <= 0.75]
    hunt(search_of(trials=6, promote=1, space={"ssl.threshold.tau": {"float": [0.5, 0.75]}}))
    assert drawn(results)[: len(inside)] == inside
    assert len(drawn(results)) == 6
    assert max(drawn(results)) <= 0.75


def test_status_tells_how_far_a_search_is_while_it_runs(search_of: SearchOf, hunt: Run, results: Path) -> None:
    found: list[Any] = []

    def look(event: TrialEvent) -> None:
        if event.kind == "epoch" and len(drawn(results)) == 3:
            found.append(status(results))

    hunt(search_of(), view=Watcher(look))
    state = found[0]
    assert (state.total, state.finished, len(state.running)) == (5 + 2 + 4, 2, 1)  # base × 2 seeds, promoted 2 × 2
    assert state.waiting == 2 + 2 + 4
    assert (state.search.finished, state.search.running, state.search.waiting) == (2, 1, 2)
    best = max(drawn(results)[:2], key=score)
    assert state.search.best == pytest.approx(score(best) * 0.8)  # after 3 epochs
    assert state.running[0].arms[0].startswith("τ=")
    assert [arm.arm for arm in state.arms] == ["base"]


def test_plan_counts_search_trials_and_the_replicates_of_the_promoted(
    search_of: SearchOf, hunt: Run, results: Path
) -> None:
    def planned(study: Study) -> tuple[int, ...]:
        plan = search_plan(study, results)
        its = plan.summary
        assert len(plan.stand_ins) == its.missing + its.to_promote
        return its.trials, its.finished, its.missing, its.to_promote, len(plan.study.arms)

    assert planned(search_of()) == (5, 0, 5, 4, 1)
    hunt(search_of())
    assert planned(search_of()) == (5, 5, 0, 0, 3)
    assert planned(search_of(trials=8)) == (8, 5, 3, 4, 1)


def test_data_settings_are_searched_as_choices_and_prepared_before(search_of: SearchOf) -> None:
    study = search_of(space={"clip.fps": {"choice": [12.5, 6.25]}, "clip.frames": {"int": [4, 16]}})
    assert {(r.clip.fps, r.clip.frames) for r in searched_recipes(study)} == {
        (12.5, 4),
        (12.5, 16),
        (6.25, 4),
        (6.25, 16),
    }
    assert searched_recipes(search_of()) == []
    with pytest.raises(InputError, match=r"clip\.fps.*only be searched over a list of values"):
        searched_recipes(search_of(space={"clip.fps": {"float": [5.0, 12.5]}}))


def test_a_search_whose_lines_are_read_says_what_is_best_so_far(search_of: SearchOf, hunt: Run, script: Script) -> None:
    script(**{"*": {"epochs": 9}})
    stream = io.StringIO()
    pruner = {"name": "asha", "grace_epochs": 1, "reduction_factor": 3}
    hunt(search_of(trials=8, pruner=pruner), view=LinesView(stream))
    text = stream.getvalue()
    assert "hunt, search: 8 trials, 0 already finished, 8 to run" in text
    assert "validation macro_f1" in text
    assert "pruned" in text
    assert "hunt: 6 trials" in text


def test_the_picture_of_a_search_shows_its_best_points_first(search_of: SearchOf, hunt: Run) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, height=40)
    view = LiveView(console)
    shown: list[str] = []

    def look(event: TrialEvent) -> None:
        if event.kind == "finished":
            with console.capture() as capture:
                console.print(view.picture())
            shown.append(capture.get())

    inner = view.event
    view.event = lambda event, trial: (inner(event, trial), look(event))  # type: ignore[method-assign,assignment,func-returns-value]
    hunt(search_of(), view=view)
    assert "search: best so far" in shown[2]
    assert "3 of 5 trials" in shown[2]
    assert "base" in shown[-1]


SHORT = {"ssl.pretrain_epochs": 3, "ssl.ramp.epochs": 1}


def test_trials_that_draw_the_same_pretraining_train_it_once_and_the_pruner_sees_its_epochs(
    search_of: SearchOf, hunt: Run, results: Path, script: Script, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "script.json").write_text('{"*": {"epochs": 6}}')
    script(**{"*": {"epochs": 6}})
    search = {"trials": 8, "promote": 1, "pruner": {"name": "median", "grace_epochs": 4, "min_trials": 2}}
    hunt(search_of(**search, also={"set": SHORT}), results=alone)
    shared = hunt(search_of(**search, also={"set": SHORT, "sharing": True}))
    assert shared.exit_code == 0
    columns = ["trial_id", "epochs", "stop_reason"]
    assert searched(results)[columns].equals(searched(alone)[columns])
    assert set(searched(results)["stop_reason"]) == {"pruned", "epochs"}
    assert shared.inherited == 3 * (8 - 1 + 2)  # the promoted arm follows the base recipe, seed by seed
    assert not (results / "stages").exists()


def test_a_pretraining_that_hardly_ever_comes_again_is_not_left(search_of: SearchOf, hunt: Run, results: Path) -> None:
    space = {"optimizer.lr": {"float": [1e-4, 1e-2], "scale": "log"}}
    hunt(search_of(trials=3, promote=0, space=space, also={"set": SHORT, "sharing": True}))
    assert not [line for line in journal(results) if line.startswith("leave")]
