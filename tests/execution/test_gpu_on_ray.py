"""Trials get the share of a GPU that they request, on two GPUs that are simulated in Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_runner import journal
from test_run_inline import Watcher

from agrm_study.execution.summary import RunSummary
from agrm_study.records.reader import Ledger
from agrm_study.study.study import Study

pytest.importorskip("ray")

RUNNER = "oom_runner:OomRunner"


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local Ray instance that has two GPUs, as far as it knows."""
    monkeypatch.setattr("agrm_study.execution.driver.child_process.MODULE", "two_gpu_driver")


def shares(results: Path) -> list[tuple[str, float, int]]:
    """(arm, share of a GPU, epoch) of every attempt at the first two epochs."""
    lines = [line.split() for line in journal(results) if line.startswith("share ")]
    return [(arm, float(share), int(epoch)) for _, arm, _, share, _, epoch in lines]


@pytest.mark.usefixtures("two_gpus")
def test_a_trial_that_runs_out_of_gpu_memory_comes_again_on_a_larger_share_from_its_checkpoint(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], results: Path
) -> None:
    needs = {"half": 0.5, "never": 2.0}
    (results / "needs.json").write_text(json.dumps(needs))
    watcher = Watcher()
    study = make_study({"half": 0.5, "never": 0.6}, seeds=1, resources={"cpu": 1, "gpu": "1/4"})
    # no retries: what grows takes none of those that a trial has for workers that die
    summary = run(study, executor="ray", slots=2, device="cpu", runner=RUNNER, view=watcher, retries=0)
    assert (summary.finished, summary.exit_code) == (1, 1), (summary, watcher.events)
    (failure,) = summary.failed
    assert (failure.arm, failure.failure, failure.heals) == ("never", "oom_gpu", True)
    assert "a whole GPU was not enough" in failure.error
    seen = shares(results)
    at_second = {arm: [share for a, share, epoch in seen if (a, epoch) == (arm, 2)] for arm in needs}
    assert at_second == {"half": [0.25, 0.5], "never": [0.25, 0.5, 1.0]}
    assert [share for _, share, epoch in seen if epoch == 1] == [0.25] * 2  # the others went on from their checkpoint
    retried = [(e.failure, e.error) for e in watcher.events if e.kind == "retried"]
    assert len(retried) == 3
    assert {failure for failure, _ in retried} == {"oom_gpu"}
    assert sorted(e.gpus for e in watcher.events if e.kind == "started") == [0.25, 0.25, 0.5, 0.5, 1.0]
    assert 0.25 * summary.used.cpu_s < summary.used.gpu_s < summary.used.cpu_s
    trials = Ledger(results).trials().set_index("arm")
    assert dict(trials["attempt"]) == {"half": 2, "never": 3}
    assert dict(trials["status"]) == {"half": "finished", "never": "failed"}


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_trials_on_half_a_gpu_run_four_at_once_on_two(
    make_study: Callable[..., Study], run: Callable[..., RunSummary], results: Path, script: Callable[..., None]
) -> None:
    (results / "needs.json").write_text("{}")
    script(**{"*": {"epoch_s": 0.3}})
    running, most = set[str](), [0]

    def look(event: Any) -> None:
        if event.kind == "started":
            running.add(event.trial_id)
        elif event.kind == "finished":
            running.discard(event.trial_id)
        most[0] = max(most[0], len(running))

    study = make_study({"A": 0.5, "B": 0.6}, seeds=3, resources={"cpu": 1, "gpu": 0.5})
    summary = run(study, executor="ray", slots=6, device="cpu", runner=RUNNER, view=Watcher(look))
    assert (summary.finished, summary.exit_code) == (6, 0)
    assert {share for _, share, _ in shares(results)} == {0.5}
    assert most == [4]


@pytest.mark.slow
@pytest.mark.usefixtures("two_gpus")
def test_auto_measures_in_a_task_on_a_gpu_and_trials_get_what_it_found(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for place in ("resources.capacity", "resources.gpu_share", "driver.session"):
        monkeypatch.setattr(f"agrm_study.execution.{place}.local_gpus", lambda: 2)
    monkeypatch.setattr("agrm_study.execution.driver.call.MEASURE", "oom_runner:measure_a_third")
    (results / "needs.json").write_text("{}")
    summary = run(
        make_study(seeds=1, resources={"cpu": 1, "gpu": "auto"}), executor="ray", slots=2, device="cpu", runner=RUNNER
    )
    assert (summary.finished, summary.exit_code) == (2, 0)
    assert {round(share, 3) for _, share, _ in shares(results)} == {0.333}
    assert any("1/3 of a GPU per trial, 3 trials at a time on one GPU" in message for message in summary.messages)
    assert "Fake GPU" in (results / "gpu_memory.json").read_text()
