"""Search trials whose records are lost or damaged run again, and the search makes the same decisions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from named_data import search_plan
from test_search import drawn, searched, started

from agrm_study.execution.summary import RunSummary
from agrm_study.records.reader import Ledger
from agrm_study.records.whole import check_results
from agrm_study.study.study import Study

SearchOf = Callable[..., Study]
Run = Callable[..., RunSummary]
ASHA = {"name": "asha", "grace_epochs": 1, "reduction_factor": 3}


def ends(results: Path) -> Any:
    """What each search trial came to, without times and attempts."""
    rows = searched(results).set_index("trial_id")
    columns = ["arm", "status", "stop_reason", "best_epoch", "epochs", "params", "epochs_digest"]
    return rows[columns].sort_index().to_dict("index")


def promoted(results: Path) -> Any:
    return [cell["arm"] for cell in json.loads((results / "plan.json").read_text())["cells"]]


@pytest.mark.parametrize("kind", ["trials", "epochs"])
@pytest.mark.parametrize("how", ["deleted", "truncated"])
@pytest.mark.parametrize("which", ["epochs", "pruned"])
def test_a_damaged_search_trial_ends_as_before_and_nothing_else_runs(
    search_of: SearchOf, hunt: Run, results: Path, tmp_path: Path, kind: str, how: str, which: str
) -> None:
    def study(trials: int) -> Study:
        return search_of(sampler="tpe", trials=trials, promote=2, pruner=ASHA)

    hunt(study(8))
    before, points, arms = ends(results), drawn(results), promoted(results)
    ids = [trial_id for trial_id, row in before.items() if row["stop_reason"] == which]
    whole = tmp_path / "whole"
    shutil.copytree(results, whole)
    path = results / "records" / kind / f"{ids[len(ids) // 2]}.parquet"
    if how == "deleted":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-60])
    starts = len(started(results))
    summary = hunt(study(8))
    assert summary.exit_code == 0
    assert len(started(results)) == starts + 1
    assert check_results(results) == []
    assert (drawn(results), promoted(results)) == (points, arms)
    if kind == "epochs" or which == "epochs":  # a pruned trial without its row is judged by all others
        assert ends(results) == before
        hunt(study(12))
        hunt(study(12), results=whole)
        assert drawn(results) == drawn(whole)
        assert ends(results) == ends(whole)


def test_a_lost_search_trial_counts_as_missing_in_the_plan_and_the_run_names_it(
    search_of: SearchOf, hunt: Run, results: Path
) -> None:
    hunt(search_of())
    trial_id = searched(results)["trial_id"].iloc[0]
    (results / "records" / "epochs" / f"{trial_id}.parquet").unlink()
    plan = search_plan(search_of(), results)
    assert (plan.summary.finished, plan.summary.missing) == (4, 1)
    summary = hunt(search_of())
    assert (summary.total, summary.before, summary.finished, summary.exit_code) == (11, 10, 1, 0)
    assert sum(f"records/epochs of trial {trial_id}" in message for message in summary.messages) == 1
    assert not Ledger(results).epochs(trial_ids=[trial_id]).empty
