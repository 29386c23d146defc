"""A cluster that cannot run a study is refused immediately, with exit code 2 and one message that states the reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from disturbed_study import STUDY, Quiet
from nodes import Nodes
from object_stores import AWS, Bucket

import agrm_study

pytestmark = pytest.mark.cluster


def refused(quiet: Quiet, nodes: Nodes, tmp_path: Path, results: str | None = None, **resources: object) -> str:
    """What a run says that ends with exit code 2 and has started no trial."""
    study = tmp_path / "study.yaml"
    study.write_text(json.dumps(STUDY | {"resources": {"cpu": 1, "gpu": 0} | resources}))
    place = results or str(tmp_path / "results")
    run = quiet.start(place, tmp_path / "log", study=study, address=nodes.address)
    assert run.wait(120) == 2, run.said
    assert "Decoding" not in run.said
    assert "Traceback" not in run.said
    return run.said


def test_gpus_that_no_node_has_are_refused_with_what_there_is(quiet: Quiet, nodes: Nodes, tmp_path: Path) -> None:
    nodes.start(cpus=1, gpus=1)
    nodes.start(cpus=2, gpus=1, resources={"accelerator_type:A100": 1})
    there = "1 node with 1 CPU and 1 GPU; 1 node with 2 CPUs and 1 GPU (A100)"
    assert there in refused(quiet, nodes, tmp_path, cpu=3, gpu=1)
    assert there in refused(quiet, nodes, tmp_path, gpu=1, accelerator="H100")


def test_a_node_with_other_code_or_none_is_refused(quiet: Quiet, nodes: Nodes, tmp_path: Path) -> None:
    nodes.start()
    other = tmp_path / "other"
    shutil.copytree(Path(agrm_study.__file__).parent, other / "agrm_study")
    with (other / "agrm_study" / "training" / "fit.py").open("a") as file:
        file.write("ANOTHER = 1\n")
    (other / "numpy-1.0.dist-info").mkdir()
    (other / "numpy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    # Ray puts the driver's paths before a node's own, so the node must have its package before it sees them
    (other / "sitecustomize.py").write_text("import agrm_study\n")
    none = tmp_path / "none"
    none.mkdir()
    (none / "sitecustomize.py").write_text("import sys\nsys.modules['agrm_study'] = None\n")
    differing = nodes.start(environment={"PYTHONPATH": str(other)})
    without = nodes.start(environment={"PYTHONPATH": str(none)})
    said = refused(quiet, nodes, tmp_path)
    (first,) = [line for line in said.splitlines() if differing.node_id[:8] in line]
    assert "numpy 1.0" in first
    assert "training code" in first
    (second,) = [line for line in said.splitlines() if without.node_id[:8] in line]
    assert "agrm-study must be installed on every node" in second


def test_storage_that_a_node_cannot_write_is_refused(
    quiet: Quiet, nodes: Nodes, s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.start()
    for name in AWS:
        monkeypatch.delenv(name)
    elsewhere = nodes.start(environment={"AWS_EC2_METADATA_DISABLED": "true"})
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    said = refused(quiet, nodes, tmp_path, results=s3.uri("x"))
    assert "must be able to read and write the results" in said
    assert elsewhere.node_id[:8] in said
    assert nodes.nodes[0].node_id[:8] not in said
