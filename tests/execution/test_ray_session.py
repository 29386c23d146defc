"""A local Ray instance is private: not open to other users or machines, and removed without residue."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agrm_study.execution.resources.ray_folder import PREFIX

pytest.importorskip("ray")

LOOK = """
import json, os, pathlib, subprocess, sys, psutil
from agrm_study.execution.resources.capacity import Placement
from agrm_study.execution.driver.session import ray_session

with ray_session(Placement(slots=1)) as slots:
    import ray
    home = ray.get(ray.remote(lambda: os.environ["RAY_TMPDIR"]).remote())
    below = psutil.Process().children(recursive=True)
    token = pathlib.Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    print(json.dumps({
        "slots": slots(),
        "folder": home,
        "mode": oct(os.stat(home).st_mode),
        "token": oct(token.stat().st_mode),
        "listening": sorted({each.laddr.ip.removeprefix("::ffff:") for process in below
                             for each in process.net_connections("tcp") if each.status == "LISTEN"}),
        "pids": [process.pid for process in below],
    }), flush=True)
    if len(sys.argv) > 1:
        sys.stdin.read()
"""


def start(*words: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", LOOK, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def seen(run: subprocess.Popen[str]) -> dict[str, Any]:
    assert run.stdout is not None
    for line in run.stdout:
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    raise AssertionError(run.stderr.read() if run.stderr else "")


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 60
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < end, "processes of Ray are left"
        time.sleep(0.1)


def test_a_local_ray_is_closed_to_others_works_with_a_long_tmpdir_and_leaves_nothing(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    home = tmp_path / "home"
    for folder in (long, home):
        folder.mkdir()
    run = start(environment={"TMPDIR": str(long), "HOME": str(home)})
    found = seen(run)
    assert run.wait(180) == 0, run.stderr
    assert found["slots"] == 1
    assert found["listening"] == ["127.0.0.1"]
    assert (found["mode"][-3:], found["token"][-3:]) == ("700", "600")
    assert Path(found["folder"]).name.startswith(PREFIX)
    assert not Path(found["folder"]).exists()
    assert list(home.iterdir()) == list(long.iterdir()) == []
    wait_until_gone(found["pids"])


@pytest.mark.slow
def test_what_a_killed_run_leaves_is_removed_at_the_next_start(tmp_path: Path) -> None:
    place = {"RAY_TMPDIR": str(Path("/tmp"))}
    killed = start("wait", environment=place)
    left = seen(killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait(20)
    assert Path(left["folder"]).exists()
    following = start(environment=place)
    found = seen(following)
    assert following.wait(180) == 0
    assert found["folder"] != left["folder"]
    assert not Path(left["folder"]).exists()
    wait_until_gone(left["pids"] + found["pids"])
