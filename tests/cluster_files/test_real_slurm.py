"""A study on a real SLURM gives the tables of an undisturbed run if it is warned, cancelled, or loses a node."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_study import WITHOUT_MTM, tiny_study

HERE = Path(__file__).parent
for folder in (HERE, HERE.parent / "cluster"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from disturbed_study import Quiet, outcome  # noqa: E402
from real_slurm import Slurm, real_slurm, until, why_not  # noqa: E402

from agrm_study.execution.trial.heartbeat import Heartbeat  # noqa: E402
from agrm_study.records.location import Location  # noqa: E402
from agrm_study.records.reader import Ledger  # noqa: E402

SCRIPT = HERE.parents[1] / "cluster" / "slurm.sbatch"
STUDY = tiny_study("slurm", {"AGRM": {}, "w/o MTM": WITHOUT_MTM}, epochs=80)
TRIALS = 4
PATIENCE_S = 300.0
pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    """The study as it comes out in one process, one trial after the other."""
    run = Quiet(tmp_path_factory.mktemp("quiet"))
    (run.folder / "study.yaml").write_text(json.dumps(STUDY))
    try:
        done = run.start(run.folder / "results", run.folder / "log", executor="inline")
        assert done.wait() == 0, done.said
        run.records, run.tables = outcome(run.folder / "results")
        yield run
    finally:
        run.end()


@pytest.fixture(scope="module")
def may_separate() -> None:
    """Skips where no SLURM can be started."""
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture
def slurm(may_separate: None) -> Iterator[Slurm]:
    """A SLURM of two nodes that ends with the test."""
    with real_slurm(nodes=2) as started:
        yield started


class Job:
    """The study as a job.

    Args:
        slurm: Where it is submitted.
        nodes: How many it takes.
    """

    def __init__(self, slurm: Slurm, nodes: int = 2) -> None:
        self.results = slurm.folder / "results"
        self._slurm = slurm
        (slurm.folder / "study.yaml").write_text(json.dumps(STUDY))
        self.number = slurm.ask(
            "sbatch", "--parsable", f"--nodes={nodes}", "--cpus-per-task=1", "--gpus-per-node=0", "--mem=2G",
            str(SCRIPT), "study.yaml", "--results", str(self.results), "--no-report",
            PATH=f"{Path(sys.executable).parent}:{slurm.environment['PATH']}", OMP_NUM_THREADS="1",
            AGRM_STUDY_CACHE=str(slurm.folder / "cache"),
        )  # fmt: skip

    @property
    def said(self) -> str:
        """Its log so far."""
        log = self._slurm.folder / f"agrm-study-{self.number}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def until(self, happened: Callable[[], bool]) -> None:
        """Waits until something has happened."""
        try:
            until(happened, "it did not happen", PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self._slurm.job(self.number)}\n{self.said}") from None

    def until_trials_run(self, *, since: int = 0) -> None:
        """Waits until two trials have begun, on a node each, in the start after so many."""

        def begun() -> bool:
            beats = Heartbeat.read_all(Location.of(self.results)) if self.results.exists() else []
            return len({beat.host for beat in beats if beat.epoch >= 3 and beat.attempt > since}) == 2

        self.until(begun)

    def ended(self, *states: str) -> dict[str, str]:
        """What SLURM says of it after its end."""
        self.until(lambda: self._slurm.job(self.number)["JobState"] not in ("PENDING", "RUNNING", "COMPLETING"))
        job = self._slurm.job(self.number)
        assert job["JobState"] in states, self.said
        return job


def test_two_nodes_give_the_tables_of_one_process_and_a_second_job_has_nothing_to_do(
    slurm: Slurm, quiet: Quiet
) -> None:
    job = Job(slurm)
    assert job.ended("COMPLETED")["ExitCode"] == "0:0"
    quiet.assert_same(job.results)
    assert set(Ledger(job.results).trials()["host"]) == {"node1", "node2"}
    assert [slurm.left_on(node) for node in (1, 2)] == [[], []]

    again = Job(slurm, nodes=1)
    again.ended("COMPLETED")
    assert f"{TRIALS} of {TRIALS} trials finished (0 in this run" in again.said
    assert slurm.left_on(1) == []


def test_a_warned_job_saves_its_epochs_queues_again_and_goes_on(slurm: Slurm, quiet: Quiet) -> None:
    job = Job(slurm)
    job.until_trials_run()
    slurm.ask("scancel", "--batch", "--signal=USR1", job.number)
    job.until(lambda: slurm.job(job.number)["Restarts"] == "1")
    assert "2 running trials were saved; the next run resumes them" in job.said
    assert not any(beat.epoch == 0 for beat in Heartbeat.read_all(Location.of(job.results)))
    assert job.ended("COMPLETED")["Restarts"] == "1"
    quiet.assert_same(job.results)
    assert [slurm.left_on(node) for node in (1, 2)] == [[], []]


def test_a_job_that_is_asked_to_end_saves_its_epochs_and_leaves_nothing(slurm: Slurm, quiet: Quiet) -> None:
    job = Job(slurm)
    job.until_trials_run()
    slurm.ask("scancel", "--batch", "--signal=TERM", job.number)
    ended = job.ended("FAILED")
    assert (ended["ExitCode"], ended["Restarts"]) == ("130:0", "0")
    assert "2 running trials were saved; the next run resumes them" in job.said
    assert [slurm.left_on(node) for node in (1, 2)] == [[], []]
    Job(slurm).ended("COMPLETED")
    quiet.assert_same(job.results)


def test_a_cancelled_job_leaves_nothing_running_and_another_goes_on(slurm: Slurm, quiet: Quiet) -> None:
    job = Job(slurm)
    job.until_trials_run()
    slurm.ask("scancel", job.number)
    job.ended("CANCELLED")
    left = [each for node in (1, 2) for each in slurm.left_on(node)]
    assert [each for each in left if not each.startswith("agrm-study-")] == []
    Job(slurm).ended("COMPLETED")
    quiet.assert_same(job.results)


def test_a_worker_node_that_dies_does_not_end_the_job(slurm: Slurm, quiet: Quiet) -> None:
    job = Job(slurm)
    job.until_trials_run()
    slurm.kill_node(2)
    ended = job.ended("COMPLETED")
    assert (ended["ExitCode"], ended["Restarts"]) == ("0:0", "0")
    quiet.assert_same(job.results)
    assert Ledger(job.results).trials()["attempt"].max() > 1
    assert slurm.left_on(1) == []


def test_a_first_node_that_dies_sends_the_job_back_to_the_queue(slurm: Slurm, quiet: Quiet) -> None:
    job = Job(slurm)
    job.until_trials_run()
    slurm.kill_node(1)
    job.until(lambda: slurm.job(job.number)["Restarts"] == "1")
    slurm.start_node(1)
    assert job.ended("COMPLETED")["ExitCode"] == "0:0"
    quiet.assert_same(job.results)
    assert [slurm.left_on(node) for node in (1, 2)] == [[], []]


def test_a_job_that_slurm_itself_requeues_goes_on(slurm: Slurm, quiet: Quiet) -> None:
    job = Job(slurm)
    job.until_trials_run()
    slurm.ask("scontrol", "requeue", job.number)
    assert job.ended("COMPLETED")["Restarts"] == "1"
    quiet.assert_same(job.results)
