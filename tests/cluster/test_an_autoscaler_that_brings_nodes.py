"""Autoscaling: nodes start for waiting trials and stop afterwards, and impossible requests are reported."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autoscaled import SoldOut, kind, kind_of, start_head, started
from disturbed_study import STUDY, Quiet, Run
from nodes import Nodes

from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(sys.platform != "linux", reason="what runs on which node is read from /proc"),
]
A100 = {"CPU": 1, "GPU": 1, "accelerator_type:A100": 1}
T4 = {"CPU": 1, "GPU": 1, "accelerator_type:T4": 1}


def start(
    quiet: Quiet, nodes: Nodes, folder: Path, *, slots: int, arms: dict[str, str] | None = None, **resources: Any
) -> Run:
    """Starts the study, each arm on its kind of GPU where those are given."""
    own = {arm: {"resources": {"accelerator": kind}} for arm, kind in (arms or {}).items()}
    changed = {"arms": [arm | own.get(arm["name"], {}) for arm in STUDY["arms"]]}
    study = folder / "study.yaml"
    study.write_text(json.dumps(STUDY | changed | {"resources": STUDY["resources"] | resources}))
    options = {"address": nodes.address, "autoscale": True, "slots": slots}
    return quiet.start(folder / "results", folder / "log", study=study, **options)


def wait_until(happened: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def test_nodes_of_each_kind_come_for_its_trials_leave_when_there_are_none_and_the_tables_are_the_same(
    quiet: Quiet, nodes: Nodes, tmp_path: Path
) -> None:
    start_head(nodes, {"a100": kind(1, **A100), "t4": kind(2, **T4)}, idle_s=15)
    assert started(nodes) == []
    run = start(quiet, nodes, tmp_path, slots=4, arms={"AGRM": "A100", "w/o SHPM": "T4"})
    ran_on: dict[str, set[str]] = {}
    most = 0
    while run.process.poll() is None:
        most = max(most, len(started(nodes)))
        for beat in Heartbeat.read_all(Location.of(run.results)):
            ran_on.setdefault(beat.trial_id, set()).add(kind_of(beat.pid))
        time.sleep(0.2)
    assert run.wait() == 0, run.said
    arm_of = Ledger(tmp_path / "results").trials().set_index("trial_id")["arm"]
    placed = {(arm_of[trial_id], where) for trial_id, kinds in ran_on.items() for where in kinds if where}
    assert placed == {("AGRM", "a100"), ("w/o SHPM", "t4")}
    assert most >= 3  # more where a slow machine lets the autoscaler replace one that is late
    wait_until(lambda: started(nodes) == [])
    quiet.assert_same(tmp_path / "results")


@pytest.mark.parametrize("version", [1, 2], ids=["first autoscaler", "second autoscaler"])
def test_what_no_kind_of_node_can_hold_is_refused_before_anything_is_done(
    quiet: Quiet, nodes: Nodes, tmp_path: Path, version: int
) -> None:
    start_head(nodes, {"t4": kind(3, **T4)}, version=version)
    run = start(quiet, nodes, tmp_path, slots=2, **({"cpu": 64} if version == 1 else {"accelerator": "H100"}))
    assert run.wait(60) == 2, run.said
    assert "the cluster's autoscaler must be able to start a node that can run one trial" in run.said
    assert ("cpu 64" if version == 1 else "accelerator H100") in run.said
    assert "1 node with 0 CPUs" in run.said
    assert "Decoding" not in run.said
    assert "Traceback" not in run.said
    assert started(nodes) == []


def test_a_cluster_without_an_autoscaler_is_refused(quiet: Quiet, nodes: Nodes, tmp_path: Path) -> None:
    nodes.start(cpus=2)
    run = start(quiet, nodes, tmp_path, slots=2)
    assert run.wait(60) == 2, run.said
    assert "`--autoscale`: requires a cluster with an autoscaler" in run.said
    assert "1 node with 2 CPUs" in run.said
    assert "Traceback" not in run.said


def test_a_run_that_waits_for_nodes_that_never_come_ends_in_order_at_sigterm(
    quiet: Quiet, nodes: Nodes, tmp_path: Path
) -> None:
    start_head(nodes, {"t4": kind(3, **T4)}, cloud=SoldOut)
    run = start(quiet, nodes, tmp_path, slots=3)
    wait_until(lambda: "Starting Ray" in run.said or run.process.poll() is not None)
    time.sleep(6)  # its trials were handed out, and wait
    os.kill(run.process.pid, signal.SIGTERM)
    assert run.wait(30) == 130, run.said
    assert "No node can run a trial yet (cpu 1, gpu 1): the autoscaler starts one." in run.said
    assert '"unfinished": 6, "interrupted": true' in run.said
    assert "Traceback" not in run.said
