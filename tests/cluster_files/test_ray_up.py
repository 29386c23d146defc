"""Would `ray up` take the files for machines of one's own, Amazon's and Google's?"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from agrm_study.study.resources import Resources

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"
CLOUDS = ("aws", "gcp")
ALL = (*CLOUDS, "on_premise")


def load(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((CLUSTER / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("name", ALL)
def test_it_keeps_to_the_schema_that_ray_ships(name: str) -> None:
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(load(name), schema)


@pytest.mark.parametrize("name", ALL)
def test_ray_prepares_and_accepts_it(name: str) -> None:
    prepared = prepare_config(load(name))
    validate_config(prepared)
    workers = {kind: v for kind, v in prepared["available_node_types"].items() if kind != prepared["head_node_type"]}
    if name == "on_premise":
        (kind,) = prepared["available_node_types"].values()
        assert kind["min_workers"] == kind["max_workers"] == len(prepared["provider"]["worker_ips"])
        return
    assert len(workers) >= 2
    assert sum(kind["min_workers"] for kind in workers.values()) >= 1  # else nothing that a first trial fits into
    assert all(kind["min_workers"] <= kind["max_workers"] <= prepared["max_workers"] for kind in workers.values())


@pytest.mark.parametrize("name", CLOUDS)
def test_a_trial_of_a_shipped_study_fits_into_every_kind_of_worker_and_never_onto_the_head(name: str) -> None:
    config = load(name)
    shipped = yaml.safe_load((CLUSTER.parent / "search_spaces" / "ablation.yaml").read_text(encoding="utf-8"))
    trial = Resources.model_validate(shipped["resources"])
    for kind, node in config["available_node_types"].items():
        if kind == config["head_node_type"]:
            assert node["resources"]["CPU"] == 0
            continue
        assert node["resources"]["GPU"] >= float(trial.gpu)
        assert node["resources"]["CPU"] >= trial.cpu * node["resources"]["GPU"]
        (accelerator,) = (key for key in node["resources"] if key.startswith("accelerator_type:"))
        assert accelerator.partition(":")[2] in _known_accelerators()


def _known_accelerators() -> set[str]:
    from ray.util import accelerators

    return {value for name, value in vars(accelerators).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", CLOUDS)
def test_workers_are_spot_and_the_head_is_not(name: str) -> None:
    config = load(name)
    for kind, node in config["available_node_types"].items():
        given = node["node_config"]
        spot = given.get("InstanceMarketOptions", {}).get("MarketType") == "spot" or (
            given.get("scheduling", {}).get("provisioningModel") == "SPOT"
        )
        assert spot == (kind != config["head_node_type"]), kind


@pytest.mark.parametrize("name", ALL)
def test_every_node_gets_the_same_code_and_versions(name: str) -> None:
    config = load(name)
    installing = [command for command in config["setup_commands"] if "pip install" in command]
    assert len(installing) == 1
    assert "--constraint ~/dist/constraints.txt" in installing[0]
    assert re.search(r"'ray\[default\]==[\d.]+'", installing[0])
    assert "worker_setup_commands" not in config
    assert config["file_mounts"]["~/dist"] == "dist"


@pytest.mark.parametrize("name", ALL)
def test_ray_asks_for_the_token_and_shows_no_dashboard(name: str) -> None:
    config = load(name)
    (head,) = (command for command in config["head_start_ray_commands"] if "ray start" in command)
    (worker,) = (command for command in config["worker_start_ray_commands"] if "ray start" in command)
    assert "RAY_AUTH_MODE=token ray start --head" in head
    assert "--include-dashboard=false" in head
    assert "RAY_AUTH_MODE=token ray start --address=$RAY_HEAD_IP" in worker
    assert "0.0.0.0" not in head + worker
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_only_ssh_is_open_on_amazon() -> None:
    (rule,) = load("aws")["provider"]["security_group"]["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpProtocol"]) == (22, 22, "tcp")
    assert all(entry["CidrIp"] != "0.0.0.0/0" for entry in rule["IpRanges"])
