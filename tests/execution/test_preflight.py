"""A cluster whose nodes differ is refused; the message lists every node and every difference."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agrm_study.execution.driver import address, node_facts, preflight, session
from agrm_study.execution.driver.address import Reached, Status, reach
from agrm_study.execution.driver.preflight import Answer, check_cluster
from agrm_study.execution.provenance import code_version
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Judges nodes that say what this machine says of itself but for the given facts."""

    def judge(*differences: Mapping[str, Any] | None, skew_s: float = 0.0) -> list[str]:
        def ask(question: Mapping[str, Any], *, answer_in: str = "") -> list[Answer]:
            answers = []
            for number, difference in enumerate(differences):
                answer = f"{answer_in}/{number}"
                facts = node_facts.describe({**question, "video": False, "answer": answer})
                if difference is None:
                    answers.append(Answer(f"node {number}", 2.0, None, "cannot run a task (boom)"))
                else:
                    whole = {**facts, "answer": answer, **difference}
                    answers.append(Answer(f"node {number}", 2.0, whole, skew_s=skew_s))
            return answers

        monkeypatch.setattr(preflight, "ask", ask)
        return check_cluster(Location.of(tmp_path), on_gpus=False)

    return judge


def test_equal_nodes_are_fit_and_leave_nothing_in_the_results(judge: Any, tmp_path: Path) -> None:
    assert judge({}, {}) == []
    assert [path for path in (tmp_path / ".run").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ({"versions": {"python": "3.10.1"}}, ["python 3.10.1", "as on this machine"]),
        ({"versions": {"torch": "1.0+cu1"}}, ["torch 1.0+cu1"]),
        ({"versions": {"training code": "0+other"}}, ["training code 0+other", code_version()]),
        ({"missing": "No module named 'agrm_study'"}, ["must be installed", "No module named"]),
        ({"storage": "cannot read a test file"}, ["read and write the results", "cannot read a test file"]),
        ({"answer": ".run/elsewhere"}, ["is not visible here"]),
        ({"video": "video mp4: cannot be read"}, ["read videos"]),
        ({"cuda": "torch finds no GPU"}, ["Ray reports 2 GPUs, but torch finds no GPU"]),
        (None, ["must respond", "boom"]),
    ],
)
def test_a_node_that_is_not_fit_is_named_with_what_is_wrong(judge: Any, difference: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        judge({}, difference)
    text = str(raised.value)
    assert "node 1" in text
    assert "node 0" not in text
    assert all(word in text for word in words), text


def test_another_build_of_the_same_torch_is_no_difference(judge: Any) -> None:
    import torch

    public = torch.__version__.partition("+")[0]
    assert judge({"versions": {"torch": f"{public}+cu999"}}) == []


def test_nodes_with_the_same_fault_share_a_line_and_all_faults_are_told(judge: Any) -> None:
    with pytest.raises(InputError) as raised:
        judge({"versions": {"python": "3.10.1"}}, {"versions": {"python": "3.10.1"}}, {"storage": "cannot read it"})
    lines = str(raised.value).splitlines()
    assert lines[0] == "2 problems:"
    assert "node 0, node 1" in lines[1]
    assert "node 2" in lines[2]


def test_a_clock_that_is_off_is_told_and_hinders_nothing(judge: Any) -> None:
    assert judge({}, skew_s=4.0) == []
    (note,) = judge({}, skew_s=-61.0)
    assert "node 0: its clock differs by -61 s" in note


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", ["not through the Ray Client", "auto"]),
        ("head", ["address of a Ray cluster", "HOST:PORT"]),
        ("nowhere.invalid:6379", ["must respond", "nowhere.invalid"]),
        ("127.0.0.1:1", ["must respond", "Connection refused", "ray start --head"]),
    ],
)
def test_an_address_where_no_cluster_is_is_refused_within_seconds(address: str, words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        reach(address)
    assert all(word in str(raised.value) for word in words), raised.value


def test_something_else_than_ray_behind_an_address_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "PATIENCE_S", 4.0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="does not respond like the head of a Ray cluster"):
            reach(f"127.0.0.1:{other.getsockname()[1]}")


@pytest.fixture
def listening() -> Iterator[str]:
    """An address where something listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield f"127.0.0.1:{other.getsockname()[1]}"


OTHER_VERSION = "RuntimeError: Ray version mismatch: cluster has Ray version 2.0.0 but local Ray version is 2.60.0"
NO_TOKEN = "ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing"


def test_a_cluster_of_another_version_is_refused(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "ray_status", lambda *asked: Status(1, OTHER_VERSION))
    with pytest.raises(InputError, match=r"given 'ray 2\.0\.0'; allowed: ray \d"):
        reach(listening)


def test_a_cluster_that_wants_a_token_is_asked_again_with_the_one_of_this_machine(
    listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(found: str, environment: Mapping[str, str]) -> Status:
        return Status(0, "Node status") if environment.get("RAY_AUTH_MODE") == "token" else Status(1, NO_TOKEN)

    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.setattr(address, "ray_status", status)
    assert reach(listening) == Reached(listening, address.LOOPBACK | {"RAY_AUTH_MODE": "token"})
    monkeypatch.setattr(address, "ray_status", lambda *asked: Status(1, NO_TOKEN))
    with pytest.raises(InputError, match="requires a token that this machine does not have"):
        reach(listening)


def test_several_clusters_on_this_machine_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    found = [("127.0.0.1:1", os.getuid()), ("127.0.0.1:1", os.getuid()), ("127.0.0.1:2", os.getuid() + 1)]
    monkeypatch.setattr(address, "_local_clusters", lambda: found)
    with pytest.raises(InputError, match="Connection refused"):
        reach("auto")  # the only one of this user, which has ended meanwhile
    found[1] = ("127.0.0.1:3", os.getuid())
    with pytest.raises(InputError, match=r"specify one with --address.*127\.0\.0\.1:1, 127\.0\.0\.1:3"):
        reach("auto")
    found.clear()
    with pytest.raises(InputError, match="No Ray cluster is running on this machine"):
        reach("auto")


def test_versions_that_ray_refuses_when_it_joins_are_named() -> None:
    text = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n"
        "This process on node 127.0.0.1 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
    )
    error = ConnectionError("Failed to connect")
    error.__cause__ = RuntimeError(text)
    assert session._their_versions(error) == {"ray": "2.60.0", "python": "3.12.1"}
    assert session._their_versions(ConnectionError("Failed to connect")) == {}
