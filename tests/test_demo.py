"""The demo: every trial finishes, and two runs from scratch give identical records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tiny_study import NOT_COMPARED

from agrm_study.records.reader import Ledger

ROOT = Path(__file__).resolve().parents[1]


def agrm_study(*words: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agrm_study", *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout_s,
    )  # fmt: skip


def records(results: Path) -> dict[str, pd.DataFrame]:
    ledger = Ledger(results)
    return {
        "trials": ledger.trials().drop(columns=NOT_COMPARED),
        "epochs": ledger.epochs(),
        "predictions": ledger.predictions().assign(logits=lambda rows: rows["logits"].map(bytes)),
        "subjects": ledger.subjects(),
    }


@pytest.mark.slow
def test_the_demo_finishes_every_trial_and_every_arm_is_above_chance(tmp_path: Path) -> None:
    done = agrm_study("run", "search_spaces/demo.yaml", "--results", str(tmp_path / "demo"), timeout_s=3600)
    assert done.returncode == 0, done.stderr
    trials = Ledger(tmp_path / "demo").trials()
    assert trials.groupby("arm")["seed"].nunique().to_dict() == dict.fromkeys(
        ("AGRM", "w/o MTM", "w/o SHPM", "w/o both"), 5
    )
    assert set(trials["status"]) == {"finished"}
    table = pd.read_csv(tmp_path / "demo" / "tables" / "ablation.csv")
    low = table.loc[table["arm"].isin(trials["arm"]), "macro_f1_low"]
    assert (low > 1 / 3).all()


@pytest.mark.slow
def test_the_same_study_run_twice_from_nothing_gives_identical_records(tmp_path: Path) -> None:
    both = []
    for name in ("first", "second"):
        results = tmp_path / name / "ablation"
        done = agrm_study("run", "ablation", "--preset", "tiny", "--results", str(results), "--no-report")
        assert done.returncode == 0, done.stderr
        both.append(records(results))
    for kind, first in both[0].items():
        pd.testing.assert_frame_equal(first, both[1][kind], check_exact=True)
