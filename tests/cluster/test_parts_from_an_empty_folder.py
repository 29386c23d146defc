"""A user-defined backbone, threshold policy and table run from an installed wheel on two nodes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from installed_wheel import build, install, without_checkout
from nodes import cluster
from own_files import PARTS, write_study

from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

pytestmark = pytest.mark.cluster

TABLE = '''
from agrm_study.report.table import Column, Row, Table, whole, words


@ags.table("seeds_by_arm")
class SeedsByArm(ags.TableKind):
    """Seeds with usable predictions."""

    name = "seeds_by_arm"
    question = "How many seeds has each arm?"

    def unfit(self, m):
        return None

    def build(self, m):
        rows = [
            Row(entries=(words(arm.name), whole(len(m.cell(arm.name, task).seeds))))
            for task in m.evidence.study.tasks for arm in m.evidence.study.arms
        ]
        columns = (Column(key="arm", title="Arm"), Column(key="n", title="Seeds"))
        return Table(name=self.name, caption="Seeds.", columns=columns, rows=tuple(rows), partial=m.evidence.partial)
'''
ARMS = {
    "AGRM": {},
    "plain": {"model.backbone": "plain3d", "model.options.blocks": 2},
    "rising": {"ssl.threshold.policy": "rising"},
}


def test_parts_in_one_file_run_on_two_nodes_and_the_report_keeps_their_table(tmp_path: Path) -> None:
    _, wheel = build(tmp_path / "dist")
    commands = install(wheel, tmp_path)
    folder = tmp_path / "lab"
    code = PARTS.replace("from widths import SCALE\n", "").replace("as ags\n", "as ags\n\nSCALE = 1\n")
    write_study(folder, arms=ARMS, parts=code + TABLE, seeds=[0, 1], report={"tables": ["seeds_by_arm"], "figures": []})
    (folder / "widths.py").unlink()

    def agrm_study(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(commands / "agrm-study"), *words],
            cwd=folder, env=without_checkout(), capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip

    with cluster(python=str(commands / "python"), without=("PYTHONPATH",)) as nodes:
        first, second = nodes.start(cpus=1), nodes.start(cpus=1)
        done = agrm_study("run", "s.yaml", "--address", nodes.address, "--results", "results")
        assert done.returncode == 0, done.stdout + done.stderr
        assert first.node_id != second.node_id
    results = folder / "results"
    trials = Ledger(results).trials()
    assert set(trials["status"]) == {"finished"}
    assert len(trials) == 6
    assert {name.partition("@")[0] for name in trials["backbone"]} == {"r3d_18", "plain3d"}
    table = (results / "tables" / "seeds_by_arm.csv").read_text()
    assert table.splitlines() == ["arm,n", "AGRM,2", "plain,2", "rising,2"]
    assert not Heartbeat.read_all(Location.of(results))

    (folder / "my_parts.py").unlink()
    done = agrm_study("report", "results")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (results / "tables" / "seeds_by_arm.csv").read_text() == table
    assert "This table is a stored copy: its code (my_parts.py)" in (results / "report.html").read_text()
