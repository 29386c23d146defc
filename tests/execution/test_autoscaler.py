"""Interpretation of what Ray's two autoscalers report about a node that a trial would require."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agrm_study.study.errors import InputError

pytest.importorskip("ray")

REQUEST = "5036b642c05a667746c1f84e69a301000000"
NODE = 28 * "0c"


class Second:
    """The head of a cluster, as far as its second autoscaler reports to it."""

    def __init__(self) -> None:
        from ray.core.generated import autoscaler_pb2

        self._gang = autoscaler_pb2.GangResourceRequest(details=f"{REQUEST}:PACK|PENDING")
        self.status = autoscaler_pb2.GetClusterStatusReply()

    def get_cluster_status(self) -> bytes:
        self.status.cluster_resource_state.cluster_resource_state_version += 1
        content: bytes = self.status.SerializeToString()
        return content

    def ask(self) -> None:
        self.status.cluster_resource_state.pending_gang_resource_requests.append(self._gang)

    def look(self, *, can: bool) -> None:
        said, seen = self.status.autoscaling_state, self.status.cluster_resource_state
        said.last_seen_cluster_resource_state_version = seen.cluster_resource_state_version
        del said.infeasible_gang_resource_requests[:]
        if not can:
            said.infeasible_gang_resource_requests.append(self._gang)


class First:
    """The head of a cluster, as far as its first autoscaler reports to it."""

    def __init__(self, **report: Any) -> None:
        self.rounds = 0.0
        nothing = {
            "pending_nodes": [],
            "pending_launches": {},
            "node_availability_summary": {"node_availabilities": {}},
        }
        self.report = {"active_nodes": {"ray.head.default": 1}} | nothing | report

    def internal_kv_get(self, key: bytes, namespace: bytes | None) -> bytes | None:
        assert (key, namespace) == (b"__autoscaling_status", None)
        if self.rounds == 0:
            return None
        return json.dumps({"time": self.rounds, "autoscaler_report": self.report}).encode()


@pytest.mark.parametrize("can", [True, False])
def test_the_second_is_believed_once_it_has_seen_the_request(can: bool) -> None:
    from agrm_study.execution.driver.autoscaler import _second

    head = Second()
    answered = _second(head, REQUEST)
    head.look(can=True)
    assert answered() is None
    head.ask()
    assert answered() is None
    assert answered() is None, "what it has said so far was said of a cluster without this request"
    head.look(can=can)
    assert answered() is can


def test_the_first_can_when_it_starts_something_or_has_tried_to() -> None:
    from agrm_study.execution.driver.autoscaler import _first

    tried = {"node_availabilities": {"gpu": {"is_available": False}}}
    for report in ({"pending_launches": {"gpu": 1}}, {"pending_nodes": ["n"]}, {"node_availability_summary": tried}):
        head = First(**report)
        answered = _first(head)
        assert answered() is None
        head.rounds += 1
        assert answered() is True


def test_the_first_cannot_when_it_has_started_nothing_for_some_rounds() -> None:
    from agrm_study.execution.driver.autoscaler import FIRST_ROUNDS, _first

    head = First()
    answered = _first(head)
    said = []
    for _ in range(FIRST_ROUNDS + 1):
        head.rounds += 1
        said += [answered(), answered()]
    assert said[-1] is False
    assert set(said[: 2 * FIRST_ROUNDS]) == {None}


def test_a_head_that_only_tells_of_the_nodes_it_finds_has_no_autoscaler(monkeypatch: pytest.MonkeyPatch) -> None:
    from agrm_study.execution.driver import autoscaler

    monkeypatch.setattr(autoscaler, "alive_nodes", lambda: [{"Resources": {"CPU": 1.0}}])
    head = First(active_nodes={f"node_{NODE}": 1})
    head.rounds = 1.0
    with pytest.raises(InputError, match="requires a cluster with an autoscaler") as refused:
        autoscaler._first(head)()
    assert refused.value.field == "--autoscale"
    assert refused.value.allowed == "available: 1 node with 1 CPU"
