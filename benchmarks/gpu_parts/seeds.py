"""Five seeds of one arm run through Ray: sequentially, and two and four at a time on one GPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_parts.rows import NEEDS_GPU, Deadline, Row, measured

SEEDS = 5
AT_ONCE = {1: "one after the other", 2: "two per GPU", 4: "four per GPU"}
NEEDS_S = 30.0
"""Minimum remaining time for a run, in seconds."""
GPU_TRIAL = {
    "epochs": 12,
    "clip": {"frames": 16, "crop": "person_box", "resize": 128, "size": 112},
    "model": {"width": 64, "depth": 18},
    "batch": {"labelled": 16, "unlabelled": 16},
}
CPU_TRIAL = {
    "epochs": 3,
    "clip": {"frames": 4, "fps": 4.1667, "crop": "person_box", "resize": 20, "size": 16},
    "model": {"width": 4, "depth": 10},
    "batch": {"labelled": 4, "unlabelled": 4},
}


def study(device: str, at_once: int) -> dict[str, Any]:
    """Content of the study file."""
    trial = CPU_TRIAL if device == "cpu" else GPU_TRIAL
    subjects, unlabelled = (18, 8) if device == "cpu" else (60, 24)
    return {
        "name": "seeds",
        "tasks": ["three_class"],
        "seeds": list(range(SEEDS)),
        "data": {
            "synthetic": {"subjects": subjects, "unlabelled": unlabelled, "seed": 0, "difficulty": "easy"},
            "unlabelled_train": unlabelled * 3 // 4,
            "unlabelled_val": unlabelled // 4,
        },
        "set": {**trial, "ssl.pretrain_epochs": 1, "ssl.ramp.epochs": 1, "early_stop.patience": 1000},
        "arms": [{"name": "AGRM"}],
        "reference": "AGRM",
        "resources": {"cpu": 1, "gpu": 0 if device == "cpu" else 1 / at_once},
    }


def seed_rows(device: str, deadline: Deadline) -> Iterator[Row]:
    """One row for each number of concurrent trials; more than one requires a GPU.

    Args:
        device: ``cpu`` or ``cuda``.
        deadline: Deadline of the script.
    """
    alone: float | None = None
    with tempfile.TemporaryDirectory(prefix="agrm-study-gpu-") as folder:
        for at_once, setting in AT_ONCE.items():
            if device == "cpu" and at_once > 1:
                yield Row(part="seeds", setting=setting, state="not run", note=NEEDS_GPU)
                continue

            def row(at_once: int = at_once, setting: str = setting, alone: float | None = alone) -> Row:
                found = run_seeds(device, at_once, Path(folder), deadline.left())
                if alone is not None:
                    found["times_as_fast"] = alone / found["trials_s"]
                note = f"{SEEDS} small trials" + (" on the CPU" if device == "cpu" else "")
                return Row(part="seeds", setting=setting, state="measured", figures=found, note=note)

            made = measured("seeds", setting, deadline, NEEDS_S, row)
            if at_once == 1:
                alone = made.figures.get("trials_s")
            yield made


def run_seeds(device: str, at_once: int, folder: Path, limit_s: float) -> dict[str, float]:
    """Seconds from the start of the first trial to the end of the last, and summed duration of the trials in seconds.

    Args:
        device: ``cpu`` or ``cuda``.
        at_once: Number of concurrent trials.
        folder: Folder for the study file, the results and the data, which all runs share.
        limit_s: Time limit of the run, in seconds.

    Raises:
        RuntimeError: If a trial did not finish, or the time limit was reached.
    """
    file, results = folder / f"seeds{at_once}.yaml", folder / f"results{at_once}"
    file.write_text(json.dumps(study(device, at_once)), encoding="utf-8")
    words = [sys.executable, "-m", "agrm_study", "run", str(file), "--results", str(results), "--no-report"]
    words += ["--slots", str(at_once)]
    environment = {**os.environ, "AGRM_STUDY_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": "0"}
    finish(words, environment, limit_s)
    from agrm_study.records.reader import Ledger

    trials = Ledger(results).trials()
    begins = trials["started_at"].map(lambda moment: moment.timestamp())
    return {
        "trials_s": float((begins + trials["wall_s"]).max() - begins.min()),
        "sum_of_trials_s": float(trials["wall_s"].sum()),
    }


def finish(words: list[str], environment: dict[str, str], limit_s: float) -> str:
    """Run a command to completion and return its output.

    Raises:
        RuntimeError: If the command failed, or was stopped at the time limit.
    """
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            raise RuntimeError(f"ended after {limit_s:.0f} s") from None
    if process.returncode:
        lines = output.strip().splitlines() or ["no output"]
        raise RuntimeError(f"status {process.returncode}: {lines[-1]}")
    return output
