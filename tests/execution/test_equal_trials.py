"""An equal trial of a neighbouring study is reused completely, and never run twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from scripted_runner import journal

from agrm_study.execution.summary import RunSummary
from agrm_study.records.compaction import compact
from agrm_study.records.reader import Ledger
from agrm_study.study.study import Study

Make = Callable[..., Study]
Run = Callable[..., RunSummary]
OWN = ["study", "arm", "params", "row_digest"]


@pytest.fixture
def beside(results: Path) -> Path:
    """The results folder of another study."""
    folder = results.with_name("other")
    folder.mkdir()
    (folder / "script.json").write_text("{}")
    return folder


@pytest.mark.parametrize("compacted", [False, True])
def test_equal_trials_of_a_study_beside_are_taken_over_with_all_their_records_and_weights(
    make_study: Make, run: Run, results: Path, beside: Path, compacted: bool
) -> None:
    run(make_study({"here": 0.5, "there": 0.7}, name="other"), results=beside)
    if compacted:
        compact(beside, at_least=1)
    weights = next((beside / "checkpoints").iterdir()).name
    summary = run(make_study({"A": 0.5, "B": 0.6}))
    assert (summary.total, summary.before, summary.finished, summary.exit_code) == (4, 2, 2, 0)
    assert "2 trials were reused from other, which has equal finished trials." in summary.messages
    assert [line for line in journal(results) if line.startswith("start A")] == []
    mine, theirs = Ledger(results), Ledger(beside)
    taken = mine.trials().query("arm == 'A'")
    assert set(taken["study"]) == {"study"}
    assert [json.loads(params) for params in taken["params"]] == [{"ssl.threshold.tau": 0.5}] * 2
    same = theirs.trials(trial_ids=list(taken["trial_id"]))
    pd.testing.assert_frame_equal(
        taken.drop(columns=OWN).reset_index(drop=True), same.drop(columns=OWN).reset_index(drop=True)
    )
    ids = list(taken["trial_id"])
    assert len(mine.epochs(trial_ids=ids)) > 0
    pd.testing.assert_frame_equal(mine.epochs(trial_ids=ids), theirs.epochs(trial_ids=ids))
    pd.testing.assert_frame_equal(mine.predictions(trial_ids=ids), theirs.predictions(trial_ids=ids))
    for trial_id in set(ids) & {weights}:
        place = f"checkpoints/{trial_id}/best.safetensors"
        assert (results / place).read_bytes() == (beside / place).read_bytes()


def test_a_second_results_folder_of_the_same_study_repeats_it(
    make_study: Make, run: Run, results: Path, beside: Path
) -> None:
    run(make_study(), results=beside)
    run(make_study())
    assert sum(line.startswith("start") for line in journal(results)) == 4


def test_trials_of_other_code_and_failed_ones_are_run(
    make_study: Make, run: Run, results: Path, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (beside / "script.json").write_text(json.dumps({"broken": {"fail": "bug", "at": 1}}))
    run(make_study({"broken": 0.6}, name="other"), results=beside)
    run(make_study({"here": 0.5}, name="third"), results=beside.with_name("other"))
    monkeypatch.setattr("agrm_study.execution.dispatch.equal_trials.code_version", lambda: "another")
    run(make_study({"A": 0.5, "B": 0.6}))
    assert sum(line.startswith("start") for line in journal(results)) == 4
