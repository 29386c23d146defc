"""Bookkeeping of the simulated cluster on which the benchmark results are based."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "simulate.py"
CALM = {"mtbf_h": 1e9, "preempt_h": 1e9, "worker_mtbf_h": 1e9, "nan": 0.0, "bug_arms": 0.0}


@pytest.fixture(scope="module")
def simulate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulate"] = module
    spec.loader.exec_module(module)
    return module


def play(simulate: ModuleType, folder: Path, *, share: bool = True, **options: Any) -> dict[str, Any]:
    cluster = simulate.Cluster(**{"trials": 400, "nodes": 4, "slots": 4} | options)
    found: dict[str, Any] = simulate.play(cluster, folder, share=share)
    return found


def test_on_a_calm_cluster_every_trial_finishes_nothing_is_lost_and_the_bound_holds(
    simulate: ModuleType, tmp_path: Path
) -> None:
    found = play(simulate, tmp_path, **CALM)
    assert found["ends"] == {"finished": 400}
    assert found["lost"]["hours"] == 0
    assert 1.0 <= found["makespan"]["ratio"] < 1.3
    assert found["makespan"]["hours"] >= found["makespan"]["longest_trial_hours"]
    assert 0.7 < found["makespan"]["slots_busy"] <= 1.0


def test_sharing_stages_shortens_the_study_by_the_epochs_that_it_saves(simulate: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shared = play(simulate, tmp_path / "a", **CALM)
    alone = play(simulate, tmp_path / "b", share=False, **CALM)
    assert shared["plan"]["epochs_saved"] > 0
    assert alone["plan"]["epochs_saved"] == 0
    assert shared["makespan"]["lower_bound_hours"] < alone["makespan"]["lower_bound_hours"]
    assert shared["makespan"]["hours"] < alone["makespan"]["hours"]


def test_under_fire_every_trial_still_ends_once_and_lost_work_is_counted(simulate: ModuleType, tmp_path: Path) -> None:
    found = play(simulate, tmp_path, mtbf_h=4.0, preempt_h=4.0, worker_mtbf_h=20.0, bug_arms=0.05, nan=0.1)
    assert sum(found["ends"].values()) == 400
    assert {"finished", "nan_loss", "bug", "held"} <= set(found["ends"])
    assert found["ends"]["bug"] <= 2 * 10
    assert found["deaths"]["worker_killed"] > 0
    assert found["deaths"]["node_lost"] > 0
    assert 0 < found["lost"]["share_of_work"] < 0.5
    calm = play(simulate, tmp_path, **CALM)
    assert found["makespan"]["hours"] > calm["makespan"]["hours"] * 0.9


def test_a_trial_loses_no_more_than_what_lies_between_two_checkpoints(simulate: ModuleType, tmp_path: Path) -> None:
    options = {**CALM, "worker_mtbf_h": 2.0, "retries": 10**6, "mean_h": 1.0}
    often = play(simulate, tmp_path, checkpoint_s=60.0, **options)
    seldom = play(simulate, tmp_path, checkpoint_s=1200.0, **options)
    assert often["lost"]["minutes_a_death"] < seldom["lost"]["minutes_a_death"] < 21
    assert often["ledger"]["checkpoints_per_s"] > 3 * seldom["ledger"]["checkpoints_per_s"]


def test_the_same_seed_plays_the_same(simulate: ModuleType, tmp_path: Path) -> None:
    first, again = (play(simulate, tmp_path, mtbf_h=10.0, seed=3) for _ in range(2))
    other = play(simulate, tmp_path, mtbf_h=10.0, seed=4)
    assert first["makespan"] == again["makespan"] != other["makespan"]


def test_real_records_are_written_read_and_merged(simulate: ModuleType, tmp_path: Path) -> None:
    found = simulate.measure_ledger(70, 20, tmp_path)
    assert found["trials"] == 70
    assert all(value > 0 for value in found.values())
