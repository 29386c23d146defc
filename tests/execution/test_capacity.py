"""Number of trials that fit on nodes, also while the cluster changes."""

from __future__ import annotations

from typing import Any

import pytest

from agrm_study.execution.resources import capacity
from agrm_study.execution.resources.capacity import Placement, Resources, Slots, in_words, trials_on

NODE = {"CPU": 8.0, "GPU": 2.0, "accelerator_type:A100": 1.0}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (Resources(cpu=1), 8),
        (Resources(cpu=3), 2),
        (Resources(cpu=1, gpu=1), 2),
        (Resources(cpu=1, gpu=2), 1),
        (Resources(cpu=1, gpu=4), 0),
        (Resources(cpu=1, gpu=1 / 3), 6),
        (Resources(cpu=1, gpu=1, accelerator="A100"), 2),
        (Resources(cpu=1, gpu=1, accelerator="H100"), 0),
    ],
)
def test_a_node_holds_whole_trials_of_its_own_kind(resources: Resources, expected: int) -> None:
    assert trials_on(NODE, resources) == expected


def test_what_does_not_fit_onto_one_node_fits_onto_no_two(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"Resources": {"CPU": 2.0}}, {"Resources": {"CPU": 2.0}}]
    monkeypatch.setattr(capacity, "alive_nodes", lambda: nodes)
    assert capacity.capacity(Resources(cpu=3)) == 0
    assert capacity.capacity(Resources(cpu=2)) == 2


def test_slots_follow_the_nodes_up_to_the_number_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes: list[dict[str, Any]] = [{"Resources": {"CPU": 2.0}}]
    monkeypatch.setattr(capacity, "alive_nodes", lambda: nodes)
    monkeypatch.setattr(capacity, "LOOK_EVERY_S", 0.0)
    free, capped, awaited = Slots(Placement()), Slots(Placement(slots=3)), Slots(Placement(slots=9, grows=True))
    assert (free(), capped(), awaited()) == (2, 2, 9)
    nodes.append({"Resources": {"CPU": 4.0}})
    assert (free(), capped(), awaited()) == (6, 3, 9)
    nodes.clear()
    assert (free(), capped()) == (1, 1)  # one trial waits, for an autoscaler to see


def test_nodes_are_told_by_what_they_have() -> None:
    nodes = [{"Resources": NODE}, {"Resources": {"CPU": 1.0}}, {"Resources": {"CPU": 1.0}}]
    assert in_words(nodes) == "2 nodes with 1 CPU; 1 node with 8 CPUs and 2 GPUs (A100)"
    assert in_words([]) == "no nodes"


def test_each_kind_of_accelerator_has_the_room_of_its_own_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    big = {"Resources": {"CPU": 8.0, "GPU": 2.0, "accelerator_type:A100": 1.0}}
    small = {"Resources": {"CPU": 8.0, "GPU": 1.0, "accelerator_type:T4": 1.0}}
    nodes = [big, small]
    monkeypatch.setattr(capacity, "alive_nodes", lambda: nodes)
    monkeypatch.setattr(capacity, "LOOK_EVERY_S", 0.0)
    slots = Slots(Placement(resources=Resources(gpu=0.5), kinds=("A100", "T4")))
    assert slots() == 6
    assert slots.full({}) == frozenset()
    assert slots.full({"A100": 4}) == {"A100"}
    assert slots.full({"A100": 3, "T4": 2}) == {"T4"}
    nodes.remove(big)  # its trials wait, and hold back no other kind
    assert slots.full({"A100": 4, "T4": 1}) == {"A100"}


def test_slots_that_were_asked_for_are_shared_by_all_kinds_and_split_where_nodes_are_yet_to_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capacity, "alive_nodes", lambda: [{"Resources": NODE}])
    capped = Slots(Placement(resources=Resources(gpu=1), slots=2, kinds=("A100", "T4")))
    assert capped.full({"A100": 1}) == {"T4"}  # no node has one
    assert capped.full({"A100": 1, "T4": 1}) == {"A100", "T4"}
    awaited = Slots(Placement(resources=Resources(gpu=1), slots=4, grows=True, kinds=("A100", "T4")))
    assert awaited.full({"A100": 2}) == {"A100"}
    assert awaited.full({"A100": 1, "T4": 2}) == {"T4"}
    plain = Slots(Placement(resources=Resources(gpu=1)))
    assert (plain.full({None: 1}), plain.full({None: 2})) == (frozenset(), {None})
