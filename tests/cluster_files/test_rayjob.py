"""The RayJob is valid for KubeRay, and runs a command that `agrm-study` accepts.

KubeRay's definition of the custom resource is large; KUBERAY_CRD specifies a file that contains it (in KubeRay's
repository: helm-chart/kuberay-operator/crds/ray.io_rayjobs.yaml).
"""

from __future__ import annotations

import copy
import os
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from agrm_study.api.names import read_study
from agrm_study.cli.app import app

FILE = Path(__file__).resolve().parents[2] / "cluster" / "kuberay-rayjob.yaml"


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FILE.read_text(encoding="utf-8")))


@pytest.fixture
def claim(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


@pytest.fixture
def job(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[1]


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Pod specifications: the head's, then the worker groups'."""
    cluster = job["spec"]["rayClusterSpec"]
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def strict(schema: Any) -> Any:
    """The schema as the API server applies it: unknown fields are refused, quantities may be numbers or text."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {key: value for key, value in schema.items() if key != "type"}
    made = {
        key: {name: strict(part) for name, part in value.items()} if key == "properties" else strict(value)
        for key, value in schema.items()
    }
    if "properties" in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def test_it_keeps_to_the_definition_of_kuberay(job: dict[str, Any]) -> None:
    if not os.environ.get("KUBERAY_CRD"):
        pytest.skip("KUBERAY_CRD does not name a copy of KubeRay's ray.io_rayjobs.yaml")
    definition = yaml.load(
        Path(os.environ["KUBERAY_CRD"]).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )
    (version,) = (
        v for v in definition["spec"]["versions"] if f"{definition['spec']['group']}/{v['name']}" == job["apiVersion"]
    )
    assert version["served"]
    assert definition["spec"]["names"]["kind"] == job["kind"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # every object has the same, which definitions leave out
    jsonschema.Draft7Validator(schema).validate(job)
    mistaken = copy.deepcopy(job)
    mistaken["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplica"] = 1
    assert not jsonschema.Draft7Validator(schema).is_valid(mistaken)


def test_its_entry_point_is_a_command_of_ours(job: dict[str, Any]) -> None:
    program, verb, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, verb) == ("agrm-study", "run")
    asked = app.commands[verb].make_context(verb, words).params
    assert asked["address"] == "auto"
    read_study(asked["study"], asked["overrides"], asked["preset"])


def test_it_takes_everything_down_and_starts_again_what_died(job: dict[str, Any]) -> None:
    spec = job["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["backoffLimit"] >= 1
    assert all(pod["restartPolicy"] == "Never" for pod in pods(job))  # the autoscaler replaces pods


def test_ray_is_told_to_ask_for_a_token(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_every_container_says_what_it_takes_and_has_the_same_image(job: dict[str, Any]) -> None:
    containers = [container for pod in pods(job) for container in pod["containers"]]
    assert len(containers) == 3
    assert len({container["image"] for container in containers}) == 1
    for container in containers:
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_results_and_stores_lie_on_a_volume_that_all_pods_mount(job: dict[str, Any], claim: dict[str, Any]) -> None:
    assert claim["kind"] == "PersistentVolumeClaim"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for pod in pods(job):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert mounted["data"] == "/data"
        assert set(mounted) == set(volumes)
    environment = {entry["name"]: entry["value"] for entry in pods(job)[0]["containers"][0]["env"]}
    assert environment["AGRM_STUDY_CACHE"].startswith("/data/")
    assert {mount["mountPath"] for mount in pods(job)[1]["containers"][0]["volumeMounts"]} >= {
        environment["AGRM_STUDY_LOCAL_STORE"]
    }


def test_rays_autoscaler_reads_two_kinds_of_gpu_from_it(job: dict[str, Any]) -> None:
    cluster = {"metadata": {"namespace": "default", "name": "made"}, "spec": job["spec"]["rayClusterSpec"]}
    kinds = _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    head = kinds.pop("headgroup")
    assert head["resources"]["CPU"] == 0
    assert {name: kind["resources"]["GPU"] for name, kind in kinds.items()} == {"l4-spot": 1, "a100": 1}
    assert kinds["l4-spot"]["resources"]["accelerator_type:L4"] == 1
    assert kinds["a100"]["resources"]["accelerator_type:A100"] == 1
    assert kinds["l4-spot"]["min_workers"] == 1
    assert kinds["a100"]["min_workers"] == 0
