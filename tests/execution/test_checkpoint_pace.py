"""Checkpoints are written at the requested interval, and less often if they are slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_runner import ScriptedRunner

from agrm_study.execution.summary import RunSummary
from agrm_study.study.study import Study


class Clock:
    """Time passes by training and by saving alone."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("asked_s", "save_s", "after"),
    [
        (0.0, 3.0, list(range(1, 60))),  # after each epoch, whatever it takes
        (20.0, 0.125, list(range(2, 60, 2))),  # every second epoch of ten seconds
        (20.0, 5.0, [2, *range(12, 60, 10)]),  # 5 s are a twentieth of 100 s
        (20.0, 1e6, [2]),  # half an hour later at the latest: 180 epochs
    ],
)
def test_checkpoints_take_a_twentieth_of_a_trials_time_at_most(
    make_study: Callable[..., Study],
    run: Callable[..., RunSummary],
    script: Callable[..., None],
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked_s: float,
    save_s: float,
    after: list[int],
) -> None:
    clock, saved = Clock(), list[int]()
    run_epoch, save = ScriptedRunner.run_epoch, ScriptedRunner.save

    def slow_epoch(self: ScriptedRunner):  # type: ignore[no-untyped-def]
        clock.now += 10.0
        return run_epoch(self)

    def slow_save(self: ScriptedRunner) -> None:
        clock.now += save_s
        saved.append(self.epoch)
        save(self)

    monkeypatch.setattr(ScriptedRunner, "run_epoch", slow_epoch)
    monkeypatch.setattr(ScriptedRunner, "save", slow_save)
    monkeypatch.setattr("agrm_study.execution.trial.worker.time.monotonic", clock.monotonic)
    script(A={"epochs": 60})
    study = make_study({"A": 0.5}, seeds=1, keep_weights="none")
    assert run(study, checkpoint_every_s=asked_s).exit_code == 0
    assert saved == after
