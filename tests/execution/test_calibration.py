"""Steps are timed once per shape, in a separate process whose failure is reported rather than raised."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from agrm_study.execution.resources import calibration
from agrm_study.execution.resources.calibration import calibrate, shape_words
from agrm_study.plan.expand import expand
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.study import Study

SMALL = {
    "clip": {"frames": 4, "size": 32, "resize": 40},
    "model": {"width": 8, "depth": 10},
    "batch": {"labelled": 3, "unlabelled": 2},
    "evaluate": {"batch": 4},
}


@pytest.fixture
def trials(make_study: Callable[..., Study]) -> tuple[TrialSpec, ...]:
    arms = {"A": 0.5, "B": 0.6, "S": {"ssl.method": "supervised"}, "half": {"precision": "fp16"}}
    return expand(make_study(arms, set=SMALL, resources={"gpu": 1}), lambda recipe: ("data", "split")).trials


def test_steps_are_timed_once_a_shape_and_a_shape_that_cannot_be_timed_is_told(trials: tuple[TrialSpec, ...]) -> None:
    heard: list[tuple[int, int, str]] = []
    found = calibrate(trials, cpu=1, gpu=False, on_shape=lambda *words: heard.append(words))
    assert (found.device, found.threads) == ("cpu", 1)
    assert [index for index, _, _ in heard] == [1, 2, 3]
    assert {trial.arm for trial in trials if trial.trial_id in found.trials} == {"A", "B", "S"}
    assert {words for words, _ in found.shapes} == {
        "r3d_18 with shpm, agrm, 4 frames of 32², batch 3 + 2",
        "r3d_18 with shpm, supervised, 4 frames of 32², batch 3",
    }
    assert all(min(times.supervised) > 0 and min(times.window) > 0 for _, times in found.shapes)
    assert found.steps == 3 + 3 + 3
    [problem] = found.problems
    assert "fp16" in problem


@pytest.mark.parametrize("reads", ["sys.stdin.read()", "sys.stdin.close()"])
def test_a_process_that_dies_is_told(
    trials: tuple[TrialSpec, ...], monkeypatch: pytest.MonkeyPatch, reads: str
) -> None:
    start = subprocess.Popen

    def dying(command: list[str], **options: Any) -> subprocess.Popen[str]:
        script = f"import sys; {reads}; sys.exit('no room for torch')"
        return start([sys.executable, "-c", script], **options)

    monkeypatch.setattr(calibration.subprocess, "Popen", dying)
    found = calibrate(trials, cpu=1, gpu=False)
    assert (found.device, found.shapes, found.problems) == ("", (), ("no room for torch",))


def test_without_trials_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration.subprocess, "Popen", None)
    assert calibrate([], cpu=1, gpu=False).steps == 0


def test_a_shape_is_said_as_a_person_says_it(trials: tuple[TrialSpec, ...]) -> None:
    supervised = next(trial.recipe for trial in trials if trial.arm == "S")
    assert shape_words(supervised) == "r3d_18 with shpm, supervised, 4 frames of 32², batch 3"
