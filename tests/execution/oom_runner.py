"""A runner that runs out of GPU memory if its share is too small: ``needs.json`` in the results folder, arm → share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import ray
import torch
from scripted_runner import ScriptedRunner, note

from agrm_study.execution.resources.gpu_share import Measured
from agrm_study.study.recipe import Recipe
from agrm_study.training.outcome import EpochReport


class OomRunner(ScriptedRunner):
    """Asks Ray how much of a GPU it has; its second epoch needs what the arm needs."""

    def run_epoch(self) -> EpochReport:
        assigned = ray.get_runtime_context().get_assigned_resources()
        share = next((amount for name, amount in assigned.items() if name.startswith("GPU")), 0.0)
        needs = json.loads((self.root / "needs.json").read_text())
        if self.epoch == 0 or self.epoch == 1:
            note(self.root, f"share {self.work.trial.arm} {self.work.trial.seed} {share:g} epoch {self.epoch + 1}")
        if self.epoch == 1 and share < needs.get(self.work.trial.arm, 0.0):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().run_epoch()


def measure_a_third(wanted: Mapping[str, Recipe], known: Sequence[Measured]) -> Measured:
    """Stands for a GPU of which every step takes a third; runs where a real measurement would."""
    assert ray.get_runtime_context().get_assigned_resources()["GPU"] == 1.0
    return Measured(name="Fake GPU", total=36 * 2**30, peaks=dict.fromkeys(wanted, 10 * 2**30))
