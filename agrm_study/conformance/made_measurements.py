"""Measurements of synthetic studies: one complete, one sparse, and one without results."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from agrm_study.conformance.made_evaluations import write_external, write_robustness
from agrm_study.conformance.made_records import ABLATION, write_results
from agrm_study.report.collect import collect
from agrm_study.report.measure import Measurements

STATES: Final = ("complete", "sparse", "empty")
_ARMS: Final = ("AGRM", "w/o MTM", "w/o SHPM", "w/o both")
_TASKS: Final = ("two_class", "three_class")
_SMALL: Final = ABLATION.replace("[0, 1, 2, 3, 4]", "[0, 1, 2]")


@cache
def made_measurements(state: str) -> Measurements:
    """Measurements of a study in one of `STATES`, created once per process; its records are removed at exit."""
    everything = [(arm, task, seed) for arm in _ARMS for task in _TASKS for seed in range(3)]
    sparse = [("AGRM", "two_class", 0), *(cell for cell in everything if cell[0] == "w/o both")]
    skip = {"complete": [], "sparse": sparse, "empty": everything}[state]
    failed = [("w/o MTM", "three_class", 1)] if state == "sparse" else []
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    root = Path(folder.name) / "results"
    write_results(root, _SMALL, subjects=18, epochs=5, skip=skip, failed=failed, parts=("test", "val", "train"))
    if state == "complete":
        write_external(root)
        write_robustness(root)
    return Measurements(collect(root))
