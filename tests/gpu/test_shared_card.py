"""Studies on one GPU: several concurrent trials, and a run that resumes an interrupted trial."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from tiny_study import WITHOUT_MTM, tiny_study

from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.records.reader import Ledger
from agrm_study.study.load import load_study

pytestmark = pytest.mark.gpu


def most_at_once(trials: pd.DataFrame) -> int:
    """Largest number of trials that ran at one moment."""
    begins = pd.to_datetime(trials["started_at"], utc=True)
    ends = begins + pd.to_timedelta(trials["wall_s"], unit="s")
    return max(int(((begins <= moment) & (moment < ends)).sum()) for moment in begins)


@pytest.fixture
def study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGRM_STUDY_CACHE", str(tmp_path / "cache"))
    content = tiny_study("shared", {"AGRM": {}, "w/o MTM": WITHOUT_MTM}, epochs=12, seeds=(0, 1, 2))
    file = tmp_path / "shared.yaml"
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize("trials", [2, 4])
def test_trials_that_share_a_card_run_together_and_all_finish_on_it(study_file, tmp_path, one_gpu, trials):
    study = load_study(study_file, overrides=[f"resources.gpu={1 / trials}"])
    summary = run_study(study, RunOptions(results=tmp_path / "results"))
    assert (summary.finished, summary.exit_code) == (6, 0), summary.failed
    found = Ledger(tmp_path / "results").trials()
    assert set(found["device"]) == {one_gpu}
    assert 1 < most_at_once(found) <= trials


def test_a_study_that_ran_in_two_parts_on_a_card_has_every_trial_once(study_file, tmp_path, one_gpu):
    results = tmp_path / "results"
    first = run_study(load_study(study_file, overrides=["seeds=[0]", "resources.gpu=1"]), RunOptions(results=results))
    whole = run_study(load_study(study_file, overrides=["resources.gpu=1"]), RunOptions(results=results))
    assert (first.finished, whole.finished, whole.exit_code) == (2, 4, 0)
    assert len(Ledger(results).trials()) == 6
