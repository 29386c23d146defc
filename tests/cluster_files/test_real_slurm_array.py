"""A study shared by an array of jobs on a real SLURM gives the tables of an undisturbed run."""

from __future__ import annotations

import contextlib
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "cluster"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from disturbed_study import Quiet  # noqa: E402
from real_slurm import Slurm, real_slurm, until  # noqa: E402
from test_real_slurm import PATIENCE_S, STUDY, TRIALS, may_separate, quiet  # noqa: E402, F401

from agrm_study.execution.trial.heartbeat import Heartbeat  # noqa: E402
from agrm_study.records.location import Location  # noqa: E402
from agrm_study.records.reader import Ledger  # noqa: E402

SCRIPT = HERE.parents[1] / "cluster" / "slurm_array.sbatch"
NODES, JOBS = 3, 8
REQUEUE, CANCEL, KILL = ("scontrol", "requeue"), ("scancel",), ("scancel", "--full", "--signal=KILL")
DISTURBANCES = (REQUEUE, KILL, REQUEUE, CANCEL, KILL, REQUEUE, CANCEL, KILL)
pytestmark = pytest.mark.cluster


@pytest.fixture
def slurm(may_separate: None) -> Iterator[Slurm]:  # noqa: F811
    """A SLURM of three nodes that ends with the test."""
    with real_slurm(nodes=NODES) as started:
        yield started


class Array:
    """The study as an array of jobs."""

    def __init__(self, slurm: Slurm) -> None:
        self.results = slurm.folder / "results"
        self.slurm = slurm
        (slurm.folder / "study.yaml").write_text(json.dumps(STUDY))
        self.number = slurm.ask(
            "sbatch", "--parsable", f"--array=1-{JOBS}", "--cpus-per-task=1", "--gpus-per-node=0", "--mem=1G",
            str(SCRIPT), "study.yaml", "--results", str(self.results), "--no-report",
            PATH=f"{Path(sys.executable).parent}:{slurm.environment['PATH']}", OMP_NUM_THREADS="1",
            AGRM_STUDY_CACHE=str(slurm.folder / "cache"),
        )  # fmt: skip

    def running(self) -> list[str]:
        """Jobs of the array that run now, as ``JOB_TASK``."""
        found = self.slurm.ask("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i")
        return [line.strip() for line in found.splitlines() if line.strip()]

    def ended(self) -> None:
        """Waits until no job is left."""
        until(lambda: not self.slurm.ask("squeue", "--noheader"), "jobs are left", 2 * PATIENCE_S)

    @property
    def said(self) -> str:
        logs = sorted(self.slurm.folder.glob("agrm-study-*.log"))
        return "\n".join(f"{log.name}:\n{log.read_text(errors='replace')}" for log in logs)


def finished(results: Path) -> int:
    with contextlib.suppress(OSError):
        return len(Ledger(results).finished_ids())
    return 0


def epochs(results: Path) -> list[tuple[str, int]]:
    """Epochs of unfinished trials so far."""
    beats = Heartbeat.read_all(Location.of(results)) if results.exists() else []
    return [(beat.trial_id, beat.epoch) for beat in beats if beat.epoch]


def test_an_array_gives_the_tables_of_one_process(slurm: Slurm, quiet: Quiet) -> None:  # noqa: F811
    array = Array(slurm)
    array.ended()
    quiet.assert_same(array.results)
    trials = Ledger(array.results).trials()
    assert set(trials["attempt"]) == {1}, array.said
    assert len(set(trials["host"])) > 1, array.said


def test_an_array_whose_jobs_are_cancelled_and_requeued_at_random_gives_the_same_tables(
    slurm: Slurm,
    quiet: Quiet,  # noqa: F811
) -> None:
    array, chance = Array(slurm), random.Random(0)
    disturbed, seen = 0, list[tuple[str, int]]()
    end = time.monotonic() + PATIENCE_S
    while finished(array.results) < TRIALS - 1 and disturbed < len(DISTURBANCES) and time.monotonic() < end:
        time.sleep(chance.uniform(1.0, 4.0))
        trained, running = epochs(array.results), array.running()
        if not running or trained == seen:  # jobs start slowly: each disturbance comes after some training
            continue
        slurm.ask(*DISTURBANCES[disturbed], chance.choice(running), check=False)
        disturbed, seen = disturbed + 1, trained
    array.ended()
    if finished(array.results) < TRIALS:  # as a user would who sees that jobs were cancelled
        Array(slurm).ended()
    assert disturbed >= 4
    quiet.assert_same(array.results)
