"""`ray up` starts Ray on machines reached by ssh, and a study runs on all of them.

The machines are namespaces of this machine. This environment replaces the packages that the file installs on each
machine; all other steps are executed as written.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ssh_machines import USER, Machines, ssh_machines, why_not
from tiny_study import WITHOUT_MTM, tiny_study

from agrm_study.records.reader import Ledger

pytestmark = pytest.mark.cluster
FILE = Path(__file__).resolve().parents[2] / "cluster" / "on_premise.yaml"
HERE = Path(sys.executable).parent
WORKERS_S = 90.0
STUDY = tiny_study("ssh", {"AGRM": {}, "w/o MTM": WITHOUT_MTM}, epochs=20)
TRIALS = 4


@pytest.fixture
def machines() -> Iterator[Machines]:
    """A machine to type on, and three for the cluster."""
    if reason := why_not():
        pytest.skip(reason)
    with ssh_machines("laptop", "head", "one", "two") as started:
        yield started


def filled_in(machines: Machines) -> str:
    """The file with its blanks filled in, and this environment where it would install one."""
    text = FILE.read_text(encoding="utf-8").replace("YOUR-USER", USER).replace("YOUR-KEY", "key")
    for blank, name in (("YOUR-HEAD", "head"), ("YOUR-WORKER-1", "one"), ("YOUR-WORKER-2", "two")):
        text = text.replace(blank, machines.addresses[name])
    config = yaml.safe_load(text)
    kept = [command for command in config["setup_commands"] if "-m pip" not in command and "-m venv" not in command]
    assert len(config["setup_commands"]) - len(kept) == 3
    link = f"mkdir -p ~/agrm-study && ln -sfn {HERE} ~/agrm-study/bin"
    return json.dumps(config | {"setup_commands": [link, *kept]})


def test_a_study_runs_on_all_machines_and_ray_down_ends_the_cluster(machines: Machines) -> None:
    (machines.folder / "dist").mkdir()
    (machines.folder / "dist" / "constraints.txt").touch()
    (machines.folder / "study.yaml").write_text(json.dumps(STUDY))
    (machines.folder / "cluster.yaml").write_text(filled_in(machines))

    def ray(words: str, *, timeout_s: float = 60.0) -> str:
        done = machines.on("laptop", f"PATH={HERE}:$PATH ray {words}", timeout_s=timeout_s)
        assert done.returncode == 0, f"{words}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    ray("get-auth-token --generate > /dev/null; chmod 600 ~/.ray/auth_token")
    ray("up --yes cluster.yaml", timeout_s=120)
    end = time.monotonic() + WORKERS_S
    while "3 local.cluster.node" not in (said := ray("exec cluster.yaml 'ray status'")):
        assert time.monotonic() < end, said
        time.sleep(2)

    results = machines.folder / "results"
    assert "3 nodes with" in ray(f"exec cluster.yaml 'agrm-study doctor {machines.folder} --address auto'")
    stranger = machines.on(
        "laptop", f"HOME=/nowhere RAY_AUTH_MODE=disabled {HERE}/ray status --address {machines.addresses['head']}:6379"
    )
    assert "InvalidAuthToken" in stranger.stderr

    whole = f"--set resources.cpu={os.cpu_count()}"  # each machine takes all of this one for its own
    run = f"agrm-study run {machines.folder}/study.yaml --address auto --results {results} --no-report {whole}"
    ray(f"exec cluster.yaml '{run}'", timeout_s=180)
    trials = Ledger(results).trials()
    assert list(trials["status"]) == ["finished"] * TRIALS
    assert set(trials["host"]) == {"head", "one", "two"}

    ray("down --yes cluster.yaml")
    assert "raylet" not in machines.on("head", "ps -e -o comm").stdout
