"""Is a cluster whose nodes differ refused, with every node and every difference named?"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agrm_study.execution.driver import address, node_facts, preflight
from agrm_study.execution.driver.address import reach
from agrm_study.execution.driver.preflight import Answer, check_cluster
from agrm_study.execution.provenance import code_version
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError

QUESTION = {"results": "", **preflight.NOTHING}


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Judges nodes that say what this machine says of itself but for the given facts."""

    def judge(*differences: Mapping[str, Any] | None, skew_s: float = 0.0) -> list[str]:
        def ask(question: Mapping[str, Any], *, answer_in: str = "") -> list[Answer]:
            answers = []
            for number, difference in enumerate(differences):
                answer = f"{answer_in}/{number}"
                facts = node_facts.describe({**QUESTION, **question, "video": False, "answer": answer})
                if difference is None:
                    answers.append(Answer(f"node {number}", {"GPU": 2.0}, None, "cannot run a task (boom)"))
                else:
                    whole = {**facts, "answer": answer, **difference}
                    answers.append(Answer(f"node {number}", {"GPU": 2.0}, whole, skew_s=skew_s))
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
        ({"storage": "does not see it"}, ["read and write the results", "does not see it"]),
        ({"answer": ".run/elsewhere"}, ["did not arrive"]),
        ({"video": "video mp4: cannot be read"}, ["read videos"]),
        ({"cuda": "torch finds no GPU"}, ["2 GPUs for Ray, but torch finds no GPU"]),
        (None, ["must answer", "boom"]),
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
        judge({"versions": {"python": "3.10.1"}}, {"versions": {"python": "3.10.1"}}, {"storage": "does not see it"})
    lines = str(raised.value).splitlines()
    assert lines[0] == "2 problems:"
    assert "node 0, node 1" in lines[1]
    assert "node 2" in lines[2]


def test_a_clock_that_is_off_is_told_and_hinders_nothing(judge: Any) -> None:
    assert judge({}, skew_s=4.0) == []
    (note,) = judge({}, skew_s=-61.0)
    assert "node 0: its clock is -61 s" in note


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://head:10001", ["not through Ray's client", "auto"]),
        ("head", ["address of a Ray cluster", "HOST:PORT"]),
        ("nowhere.invalid:6379", ["must answer", "nowhere.invalid"]),
        ("127.0.0.1:1", ["must answer", "Connection refused", "ray start --head"]),
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
        with pytest.raises(InputError, match="does not speak like the head of a Ray cluster"):
            reach(f"127.0.0.1:{other.getsockname()[1]}")


def test_a_cluster_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"address": "10.0.0.1:6379", "loopback": False, "auth": "", "ray": "2.0.0", "python": "3.9.1"}
    monkeypatch.setattr(address, "_probe", lambda address: said)
    with pytest.raises(InputError, match=r"given 'ray 2\.0\.0, python 3\.9\.1'"):
        reach("10.0.0.1:6379")
