"""Tables stay the same when nodes die, join or hang, or storage is unavailable for a while."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from disturbed_study import TRIALS, Quiet, Run
from nodes import Nodes

from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

pytestmark = pytest.mark.cluster


@pytest.fixture
def three(nodes: Nodes) -> Nodes:
    """Three nodes with a processor and a (logical) GPU each."""
    for _ in range(3):
        nodes.start(cpus=1, gpus=1)
    return nodes


def begun(count: int) -> object:
    """Whether so many trials have trained three epochs."""

    def happened(beats: list[Heartbeat]) -> bool:
        return sum(beat.epoch >= 3 for beat in beats) >= count

    return happened


def start(quiet: Quiet, nodes: Nodes, tmp_path: Path, results: str | None = None, **options: object) -> Run:
    return quiet.start(results or tmp_path / "results", tmp_path / "log", address=nodes.address, **options)


def test_three_nodes_give_the_tables_of_one_process_and_listen_on_loopback_only(
    quiet: Quiet, three: Nodes, tmp_path: Path
) -> None:
    run = start(quiet, three, tmp_path)
    run.until(begun(3))
    assert set.union(*(node.listening() for node in three.nodes)) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert run.wait() == 0, run.said
    quiet.assert_same(tmp_path / "results")


def test_a_node_that_dies_costs_no_result(quiet: Quiet, three: Nodes, tmp_path: Path) -> None:
    run = start(quiet, three, tmp_path)
    run.until(begun(3))
    three.nodes[2].kill()
    assert run.wait() == 0, run.said
    quiet.assert_same(tmp_path / "results")
    assert Ledger(tmp_path / "results").trials()["attempt"].max() > 1


def test_a_node_that_comes_while_a_study_runs_gets_work(quiet: Quiet, nodes: Nodes, tmp_path: Path) -> None:
    nodes.start(cpus=1, gpus=1)
    run = start(quiet, nodes, tmp_path)
    run.until(begun(1))
    nodes.start(cpus=1, gpus=1)
    run.until(lambda beats: len({beat.pid for beat in beats if beat.updated_at > time.time() - 5}) == 2)
    assert run.wait() == 0, run.said
    quiet.assert_same(tmp_path / "results")


def test_slots_bound_what_a_study_takes_of_a_cluster_and_two_share_it(
    quiet: Quiet, three: Nodes, tmp_path: Path
) -> None:
    runs = [
        quiet.start(tmp_path / name, tmp_path / f"{name}.log", address=three.address, slots=1) for name in ("a", "b")
    ]
    at_once = [0, 0]
    while any(run.process.poll() is None for run in runs):
        for number, run in enumerate(runs):
            at_once[number] = max(at_once[number], len(Heartbeat.read_all(Location.of(run.results))))
        time.sleep(0.2)
    assert [run.wait() for run in runs] == [0, 0], "\n".join(run.said for run in runs)
    assert at_once == [1, 1]
    for name in ("a", "b"):
        quiet.assert_same(tmp_path / name)


def test_a_node_that_is_silent_for_twenty_seconds_costs_no_result(quiet: Quiet, three: Nodes, tmp_path: Path) -> None:
    run = start(quiet, three, tmp_path)
    run.until(begun(3))
    three.nodes[2].freeze()
    time.sleep(20)
    three.nodes[2].thaw()
    assert run.wait() == 0, run.said
    quiet.assert_same(tmp_path / "results")


def test_a_disk_that_is_gone_for_twenty_seconds_costs_no_result(quiet: Quiet, three: Nodes, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    run = start(quiet, three, tmp_path, results=str(disk / "results"))
    run.until(begun(3))
    (disk / "results").rename(disk / "unmounted")
    time.sleep(20)
    assert not (disk / "results").exists(), "something was written where nobody would look for it"
    (disk / "unmounted").rename(disk / "results")
    assert run.wait() == 0, run.said
    assert len(Ledger(disk / "results").finished_ids()) == TRIALS
    quiet.assert_same(disk / "results")
