"""The files for on-premises machines, Amazon and Google are valid input for `ray up`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
    assert sum(kind["min_workers"] for kind in workers.values()) >= 1  # one that can be asked before the first trial
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


@pytest.mark.parametrize("name", ALL)
def test_what_is_typed_on_a_machine_finds_our_commands_and_asks_with_the_token(name: str) -> None:
    (said,) = (command for command in load(name)["setup_commands"] if "~/.bashrc" in command)
    assert said.endswith("""'export PATH="$HOME/agrm-study/bin:$PATH" RAY_AUTH_MODE=token' >> ~/.bashrc""")


@pytest.mark.parametrize("name", ALL)
def test_another_ray_up_installs_the_code_anew_though_its_version_is_the_same(name: str) -> None:
    commands = load(name)["setup_commands"]
    (gone,) = (place for place, command in enumerate(commands) if "pip uninstall" in command)
    (come,) = (place for place, command in enumerate(commands) if "pip install" in command)
    assert gone < come
    assert commands[gone].endswith("--yes agrm-study")


@pytest.fixture
def ec2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stand-in for EC2, in which nobody has anything yet; Ray keeps its key in a home of the test's own."""
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    (tmp_path / ".ssh").mkdir()
    for variable, value in (("HOME", str(tmp_path)), ("AWS_ACCESS_KEY_ID", "t"), ("AWS_SECRET_ACCESS_KEY", "t")):
        monkeypatch.setenv(variable, value)
    with moto.mock_aws():
        boto3.client("iam", region_name="us-west-2").create_instance_profile(InstanceProfileName="profile")
        yield boto3.client("ec2", region_name="us-west-2")


def test_on_amazon_ray_starts_a_head_and_spot_workers_that_only_the_named_network_reaches_by_ssh(ec2: Any) -> None:
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler.tags import TAG_RAY_NODE_KIND, TAG_RAY_NODE_NAME, TAG_RAY_USER_NODE_TYPE

    group = ec2.create_security_group(GroupName="agrm-study", Description="agrm-study")["GroupId"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}
    itself = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh, itself])
    text = (CLUSTER / "aws.yaml").read_text(encoding="utf-8")
    for blank, value in (("YOUR-GROUP", group), ("YOUR-PROFILE", "profile"), ("YOUR-AMI", "ami-12c6146b")):
        text = text.replace(blank, value)
    config = bootstrap_aws(prepare_config(yaml.safe_load(text)))

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    kinds = config["available_node_types"]
    for kind, node in kinds.items():
        role = "head" if kind == config["head_node_type"] else "worker"
        tags = {TAG_RAY_NODE_KIND: role, TAG_RAY_NODE_NAME: kind, TAG_RAY_USER_NODE_TYPE: kind}
        provider.create_node(dict(node["node_config"]), tags, 1)
    started = [each for made in ec2.describe_instances()["Reservations"] for each in made["Instances"]]
    for instance in started:
        assert [each["GroupId"] for each in instance["SecurityGroups"]] == [group]
        assert instance["IamInstanceProfile"]["Arn"].endswith("/profile")
        assert instance["KeyName"]
    assert {each["InstanceType"]: each.get("InstanceLifecycle") for each in started} == {
        node["node_config"]["InstanceType"]: None if kind == config["head_node_type"] else "spot"
        for kind, node in kinds.items()
    }
    (open_to,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert sorted(rule["IpProtocol"] for rule in open_to["IpPermissions"]) == ["-1", "tcp"]
    assert [each["CidrIp"] for rule in open_to["IpPermissions"] for each in rule["IpRanges"]] == ["192.0.2.0/24"]
    groups = {each["GroupName"] for each in ec2.describe_security_groups()["SecurityGroups"]}
    assert groups == {"default", "agrm-study"}, "Ray has made one of its own, which lets ssh in from everywhere"
