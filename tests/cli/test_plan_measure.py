"""Output of `plan --measure` before any trial has run; `plan` does not import torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click.testing
import pytest

from agrm_study.api import planning
from agrm_study.cli.plan import plan
from agrm_study.execution.resources import calibration
from agrm_study.execution.resources.calibration import Calibration
from agrm_study.plan.rehearsed import Rehearsed

TINY = ["ablation", "--preset", "tiny", "--set", "seeds=1"]
SMALL = """\
name: small
tasks: [two_class]
seeds: 1
data: {synthetic: {subjects: 18}}
set:
  ssl.method: supervised
  clip: {frames: 4, size: 32, resize: 40}
  model: {width: 8, depth: 10}
  batch.labelled: 3
arms: [{name: one}]
"""
Invoke = Callable[..., click.testing.Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(tmp_path)
    return lambda *words: click.testing.CliRunner().invoke(plan, [*TINY, *words], catch_exceptions=False)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of one second each, but for those of one arm, which cannot be timed."""

    def calibrate(trials, *, cpu, gpu, on_shape):
        on_shape(1, 1, "a shape")
        times = Rehearsed(supervised=(1.0, 1.0), full=(2.0, 3.0), window=(0.0,), network_bytes=1000)
        return Calibration(
            device="cpu", threads=cpu, trials={t.trial_id: times for t in trials if t.arm != "w/o both"},
            shapes=(("a shape", times),), problems=("no",),
        )  # fmt: skip

    monkeypatch.setattr(planning, "calibrate", calibrate)


@pytest.mark.usefixtures("timed")
def test_time_and_disk_are_told_with_what_was_measured_and_where(invoke: Invoke) -> None:
    done = invoke("--measure")
    assert "timing steps, 1 of 1: a shape" in done.stderr
    assert "for 4 trials of kinds that have not run yet, if none stops early" in done.stdout
    assert (
        "measured 4 steps of 1 shape with random clips on cpu, 1 thread; 1 unmeasured trial is not included"
        in done.stdout
    )
    assert "A step could not be timed: no" in done.stdout
    assert "more: 7 kB of weights" in done.stdout  # two networks three times, one once
    assert "The time is unknown" not in done.stdout


@pytest.mark.usefixtures("timed")
def test_the_same_is_there_for_machines(invoke: Invoke) -> None:
    facts = json.loads(invoke("--measure", "--json").stdout)
    timed = facts["timed"]
    assert (timed["device"], timed["threads"], timed["trials_covered"], timed["trials_unknown"]) == ("cpu", 1, 4, 1)
    assert timed["slot_hours_at_most"] > timed["plus_minus"] > 0
    assert timed["shapes"] == [
        {"shape": "a shape", "supervised": [1, 1], "full": [2, 3], "window": [0], "network_bytes": 1000}
    ]
    assert facts["cost"] is None
    assert facts["disk"]["unknown"] == 1
    assert facts["disk"]["records"] > 0


def test_without_it_nothing_is_timed_and_the_option_is_named(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration.subprocess, "Popen", None)
    done = invoke()
    assert "The time is unknown" in done.stdout
    assert "--measure" in done.stdout
    assert json.loads(invoke("--json").stdout)["timed"] is None


def test_measuring_leaves_torch_to_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    script = """
import sys
from agrm_study.cli.plan import plan
plan(["small.yaml", "--measure"], standalone_mode=False)
assert not [name for name in ("torch", "ray") if name in sys.modules]
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "measured 3 steps of 1 shape with random clips on cpu, 1 thread" in done.stdout


@pytest.mark.slow
def test_the_bound_is_of_the_size_of_a_real_run(tmp_path: Path) -> None:
    """Both are told; only what makes no sense at all fails, since timings decide nothing."""
    from agrm_study.records.reader import Ledger

    def call(*words: str) -> str:
        command = [sys.executable, "-m", "agrm_study", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    told = json.loads(call("plan", *TINY, "--measure", "--json"))["timed"]["slot_hours_at_most"]
    call("run", *TINY, "--slots", "1")
    taken = Ledger(str(tmp_path / "results" / "ablation-tiny")).trials()["wall_s"].sum() / 3600
    print(f"told {3600 * told:.1f} s at most, taken {3600 * taken:.1f} s")
    assert told > 0
    assert taken > 0
