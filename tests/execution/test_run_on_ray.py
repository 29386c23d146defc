"""Ray Tune runs a study as the inline executor does, when workers die, trials fail and the user interrupts."""

from __future__ import annotations

import ipaddress
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_runner import journal
from test_run_inline import Watcher, outcome, same

from agrm_study.execution.resources.memory import memory_uses
from agrm_study.execution.summary import RunSummary
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.reader import Ledger
from agrm_study.study.study import Study

pytest.importorskip("ray")


def test_killed_workers_resume_failing_trials_are_recorded_and_the_rest_is_as_inline(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    results: Path,
    script: Callable[..., None],
    tmp_path: Path,
) -> None:
    arms = {"A": 0.5, "killed": 0.6, "broken": 0.7, "doomed": 0.8}
    script(
        A={"copies": 2},
        killed={"fail": "kill", "at": 3, "times": 1, "seeds": [1]},
        broken={"fail": "bug", "seeds": [0]},
        doomed={"fail": "kill", "seeds": [0]},
    )
    interfaces: set[str] = set()

    def look(event: TrialEvent) -> None:
        if event.kind == "finished":
            interfaces.update(listening_interfaces())

    watcher = Watcher(look)
    summary = run(make_study(arms), executor="ray", slots=2, retries=1, view=watcher)
    assert (summary.exit_code, summary.finished) == (1, 6), summary.failed
    assert {(f.arm, f.seed, f.failure) for f in summary.failed} == {
        ("broken", 0, "bug"),
        ("doomed", 0, "worker_killed"),
    }
    ledger = Ledger(results)
    attempts = ledger.trials().set_index(["arm", "seed"])["attempt"]
    assert (attempts["killed", 1], attempts["doomed", 0], attempts["A", 0]) == (2, 2, 1)
    (resumed,) = [e for e in watcher.events if e.kind == "finished" and e.attempt == 2]
    assert resumed.resumed == 2
    assert [e.kind for e in watcher.events].count("retried") == 2
    assert Counter(e.note for e in watcher.events if e.note) == {"copying 1 of 2": 2, "copying 2 of 2": 2}
    assert not (results / "ray").exists()
    assert interfaces
    assert all(ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback for address in interfaces)
    before = journal(results)
    script(A={})
    healed = run(make_study(arms), executor="inline", retry_failed=True)
    assert (healed.exit_code, healed.finished) == (0, 2)
    assert len(journal(results)) == len(before) + 4
    other = tmp_path / "inline"
    other.mkdir()
    (other / "script.json").write_text("{}")
    run(make_study(arms), results=other)
    assert same(outcome(results), outcome(other))


def listening_interfaces() -> set[str]:
    """Addresses that this process's children listen on."""
    psutil = pytest.importorskip("psutil")
    mine = {process.pid for process in psutil.Process().children(recursive=True)}
    return {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.pid in mine}


def test_an_interruption_stops_at_the_epoch_boundary_and_the_next_run_goes_on(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], results: Path, script: Callable[..., None]
) -> None:
    script(A={"epochs": 6, "epoch_s": 0.3}, B={"epochs": 6, "epoch_s": 0.3})
    asked = threading.Event()

    def interrupt(event: TrialEvent) -> None:
        if event.kind == "epoch" and event.epoch >= 2 and not asked.is_set():
            asked.set()
            os.kill(os.getpid(), signal.SIGTERM)

    watcher = Watcher(interrupt)
    began = time.monotonic()
    summary = run(make_study(), executor="ray", slots=2, view=watcher, checkpoint_every_s=1000.0)
    assert (summary.exit_code, summary.finished, summary.unfinished) == (130, 0, 4)
    stopped = [e for e in watcher.events if e.kind == "interrupted"]
    assert len(stopped) == 2
    assert time.monotonic() - began < 60
    again = Watcher()
    assert run(make_study(), view=again).exit_code == 0
    resumed = {e.trial_id: e.resumed for e in again.events if e.kind == "finished"}
    assert all(resumed[e.trial_id] == e.epoch for e in stopped)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.slow
def test_a_trial_whose_worker_fills_the_memory_goes_on_from_its_checkpoint_and_costs_no_other_trial_anything(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    script: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script(A={"epochs": 4, "fail": "hog", "at": 3, "times": 1}, B={"epochs": 30, "epoch_s": 1.0})
    use = max(memory_uses(), key=lambda use: use.share)
    monkeypatch.setattr("agrm_study.execution.driver.memory_watchdog.THRESHOLD", use.share + 2 * 2**30 / use.limit)
    watcher = Watcher()
    summary = run(make_study(seeds=1), executor="ray", slots=2, view=watcher)
    assert (summary.exit_code, summary.finished) == (0, 2), summary
    (retried,) = [event for event in watcher.events if event.kind == "retried"]
    assert retried.failure == "oom_host"
    assert "its worker used" in (retried.error or "")
    ends = [event for event in watcher.events if event.kind == "finished"]
    assert {(event.epoch, event.resumed) for event in ends} == {(4, 2), (30, 0)}


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_worker_that_hangs_is_killed_and_its_trial_goes_on_elsewhere(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    script: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
) -> None:
    script(A={"epochs": 4, "epoch_s": 0.1, "fail": "hang", "at": epoch, "times": 1})
    monkeypatch.setattr("agrm_study.execution.driver.stall_detector.EPOCH_S", 8.0)
    monkeypatch.setattr("agrm_study.execution.driver.stall_detector.FIRST_EPOCH_S", 15.0)
    watcher = Watcher()
    summary = run(make_study({"A": 0.5}, seeds=1), executor="ray", slots=1, view=watcher)
    assert (summary.exit_code, summary.finished) == (0, 1)
    (retried,) = [event for event in watcher.events if event.kind == "retried"]
    assert "said nothing" in (retried.error or "")
    assert watcher.events[-1].resumed == epoch - 1
