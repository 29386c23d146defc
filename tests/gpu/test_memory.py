"""Exhausted GPU memory: every form in which CUDA reports it, measurement of a step, and growth of a trial's share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from agrm_study.execution.options import RunOptions
from agrm_study.execution.resources.gpu_share import kind_of, measure_here
from agrm_study.execution.run import run_study
from agrm_study.execution.trial.failures import classify
from agrm_study.study.load import load_study
from agrm_study.training.failures import DeviceMemoryError
from agrm_study.training.loop import Training

pytestmark = pytest.mark.gpu

MIB = 2**20
CLASSIFIES = """
import torch
from agrm_study.execution.trial.failures import classify
try:
    {code}
    print("no error")
except Exception as error:
    print(classify(error).kind, type(error).__name__, str(error).splitlines()[0])
"""
"""A process that runs code and prints the class of the error that it raised."""
CONTEXT = "torch.ones(1, device='cuda')"
CUBLAS = (
    "small = torch.ones(64, 64, device='cuda'); free = torch.cuda.mem_get_info()[0] // 2**20; filled = []; size = free"
    "\n    while size >= 1:"
    "\n        try: filled.append(torch.empty(size * 2**20, dtype=torch.uint8, device='cuda'))"
    "\n        except torch.OutOfMemoryError: size //= 2"
    "\n    print('filled'); large = small @ small; torch.cuda.synchronize(); large.new_empty(8 * 2**20)"
)


def told(code: str) -> str:
    words = [sys.executable, "-c", CLASSIFIES.format(code=code)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture
def full_gpu() -> Iterator[None]:
    """A GPU of which this process holds all but the last few MiB."""
    torch.cuda.empty_cache()
    filled, size = [], torch.cuda.mem_get_info()[0] // MIB
    while size >= 1:
        try:
            filled.append(torch.empty(size * MIB, dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError:
            size //= 2
    yield
    filled.clear()
    torch.cuda.empty_cache()


@pytest.mark.usefixtures("full_gpu")
def test_a_context_that_finds_no_memory_on_a_shared_gpu_is_oom_gpu():
    assert told(CONTEXT).startswith("oom_gpu "), told(CONTEXT)


def test_a_matrix_product_that_finds_no_memory_is_oom_gpu():
    assert told(CUBLAS).startswith("oom_gpu "), told(CUBLAS)


def test_a_training_beyond_its_share_of_the_memory_fails_with_the_peak_and_a_hint(tiny_data, tiny_recipe):
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    allowed = (held + 8 * MIB) / torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(allowed)
    try:
        recipe = tiny_recipe(model__width=64, batch__labelled=14)
        with pytest.raises((DeviceMemoryError, torch.OutOfMemoryError)) as caught:
            Training(recipe, **tiny_data.arguments, device="cuda").run_epoch()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
    assert classify(caught.value).kind == "oom_gpu"


def test_a_wider_network_is_measured_as_larger_and_smaller_than_the_card(tiny_recipe):
    recipes = [tiny_recipe(model__width=width) for width in (4, 64)]
    measured = measure_here({kind_of(recipe): recipe for recipe in recipes}, [])
    narrow, wide = (measured.peaks[kind_of(recipe)] for recipe in recipes)
    assert 0 < narrow < wide < measured.total
    assert measured.name == torch.cuda.get_device_name(0)


def test_a_trial_that_runs_out_of_its_share_is_retried_on_a_larger_one(tmp_path: Path, one_gpu, monkeypatch):
    """Real memory limits: a quarter of the card cannot hold 0.4 of it, a half can."""
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", here, prepend=os.pathsep)
    monkeypatch.syspath_prepend(here)
    results = tmp_path / "results"
    results.mkdir()
    (results / "needs.json").write_text(json.dumps({"small": 0.05, "medium": 0.4}))
    study = {
        "name": "growth",
        "tasks": ["three_class"],
        "seeds": [0],
        "data": {"synthetic": {"subjects": 18, "unlabelled": 8}, "unlabelled_train": 6, "unlabelled_val": 2},
        "set": {"clip": {"frames": 4, "fps": 4.1667, "crop": "person_box", "resize": 20, "size": 16}},
        "arms": [
            {"name": "small", "set": {"ssl.threshold.tau": 0.5}},
            {"name": "medium", "set": {"ssl.threshold.tau": 0.6}},
        ],
        "reference": "small",
        "sharing": False,
        "resources": {"cpu": 1, "gpu": "1/4"},
    }
    file = tmp_path / "growth.yaml"
    file.write_text(json.dumps(study))
    options = RunOptions(results=results, runner="filling_runner:FillingRunner", retries=0)
    summary = run_study(load_study(file), options)
    assert (summary.finished, summary.exit_code) == (2, 0), summary.failed
    assert (results / "shares-small").read_text().split() == ["0.25"]
    assert (results / "shares-medium").read_text().split() == ["0.25", "0.5"]
