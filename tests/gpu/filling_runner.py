"""A runner whose trials occupy the share of a GPU's memory given by ``needs.json`` in the results folder."""

from __future__ import annotations

import json
from pathlib import Path

import ray
import torch

from agrm_study.execution.trial.runner import NoopRunner, RunnerContext
from agrm_study.execution.trial.work import Work
from agrm_study.training.outcome import EpochReport


class FillingRunner(NoopRunner):
    """Allocates the memory in its one epoch; appends the share of the GPU that Ray gave to ``shares-ARM``."""

    def start(self, work: Work, context: RunnerContext) -> int:
        self.arm, self.results = work.trial.arm, Path(context.settings.results)
        return 0

    def run_epoch(self) -> EpochReport:
        share = float(ray.get_runtime_context().get_assigned_resources()["GPU"])
        with (self.results / f"shares-{self.arm}").open("a") as file:
            file.write(f"{share:g}\n")
        needs = float(json.loads((self.results / "needs.json").read_text())[self.arm])
        filled = torch.empty(int(needs * torch.cuda.mem_get_info()[1]), dtype=torch.uint8, device="cuda")
        del filled
        torch.cuda.empty_cache()
        return super().run_epoch()
