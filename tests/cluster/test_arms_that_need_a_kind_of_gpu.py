"""Each arm runs on the type of GPU that it specifies; a type that no node has is refused."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from disturbed_study import STUDY, Quiet
from nodes import Nodes

from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

pytestmark = pytest.mark.cluster


def pinned(folder: Path, **kinds: str) -> Path:
    """The study with its arms, in their order, on these kinds of GPU."""
    arms = [arm | {"resources": {"accelerator": kind}} for arm, kind in zip(STUDY["arms"], kinds.values(), strict=True)]
    study = folder / "pinned.yaml"
    study.write_text(json.dumps(STUDY | {"arms": arms}))
    return study


def test_arms_run_on_their_kinds_of_gpu_side_by_side_and_come_out_the_same(
    quiet: Quiet, nodes: Nodes, tmp_path: Path
) -> None:
    started = {kind: nodes.start(cpus=2, gpus=1, resources={f"accelerator_type:{kind}": 1}) for kind in ("A100", "T4")}
    study = pinned(tmp_path, agrm="A100", without="T4")
    run = quiet.start(tmp_path / "results", tmp_path / "log", study=study, address=nodes.address)
    ran_on: dict[str, set[str]] = {}
    at_once: set[frozenset[str]] = set()
    while run.process.poll() is None:
        beats = Heartbeat.read_all(Location.of(run.results))
        pids = {kind: {process.pid for process in node.processes()} for kind, node in started.items()}
        now = {beat.trial_id: kind for beat in beats for kind in pids if beat.pid in pids[kind]}
        for trial_id, kind in now.items():
            ran_on.setdefault(trial_id, set()).add(kind)
        at_once.add(frozenset(now.values()))
        time.sleep(0.1)
    assert run.wait() == 0, run.said
    arm_of = Ledger(tmp_path / "results").trials().set_index("trial_id")["arm"]
    assert {(arm_of[trial_id], kind) for trial_id, kinds in ran_on.items() for kind in kinds} == {
        ("AGRM", "A100"),
        ("w/o SHPM", "T4"),
    }
    assert frozenset(started) in at_once
    quiet.assert_same(tmp_path / "results")


def test_an_arm_whose_kind_of_gpu_no_node_has_is_refused_before_any_trial(
    quiet: Quiet, nodes: Nodes, tmp_path: Path
) -> None:
    nodes.start(cpus=2, gpus=1, resources={"accelerator_type:T4": 1})
    study = pinned(tmp_path, agrm="H100", without="T4")
    run = quiet.start(tmp_path / "results", tmp_path / "log", study=study, address=nodes.address)
    assert run.wait(120) == 2, run.said
    assert "accelerator H100" in run.said
    assert "1 node with 2 CPUs and 1 GPU (T4)" in run.said
    assert "Decoding" not in run.said
    assert "Traceback" not in run.said
