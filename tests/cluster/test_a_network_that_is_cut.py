"""Separate hosts give the same tables when the link of one is cut for twenty seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from disturbed_study import Quiet
from hosts import Hosts, hosts
from nodes import Nodes

pytestmark = pytest.mark.cluster


@pytest.fixture
def network() -> Iterator[Hosts]:
    """A network of its own; without permission for one the test is left out."""
    try:
        with hosts() as made:
            yield made
    except PermissionError:
        pytest.skip("network namespaces are not permitted here")


def test_a_cable_that_is_pulled_for_twenty_seconds_costs_no_result(
    network: Hosts, nodes: Nodes, quiet: Quiet, tmp_path: Path
) -> None:
    nodes.start(cpus=1, gpus=1, ip=network.ours)
    for _ in range(2):
        address, prefix = network.add()
        nodes.start(cpus=1, gpus=1, ip=address, prefix=prefix)
    run = quiet.start(tmp_path / "results", tmp_path / "log", address=nodes.address)
    run.until(lambda beats: sum(beat.epoch >= 3 for beat in beats) >= 3)
    network.cut(1)
    time.sleep(20)
    network.mend(1)
    assert run.wait() == 0, run.said
    quiet.assert_same(tmp_path / "results")
