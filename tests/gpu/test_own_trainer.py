"""A user-defined trainer on a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agrm_study.execution.options import RunOptions
from agrm_study.execution.run import run_study
from agrm_study.records.reader import Ledger
from agrm_study.study.load import load_study

pytestmark = pytest.mark.gpu

TRAINER = '''
"""Logistic regression of one number, in torch."""

import torch

import agrm_study as ags


class Logistic(ags.Trainer):
    """Gradient descent on the device of the trial."""

    class Options(ags.Options):
        rate: float = 1.0

    @classmethod
    def samples(cls):
        return [ags.Sample(f"s{i}", "high" if i % 2 else "low", f"p{i}") for i in range(40)]

    @classmethod
    def fingerprint(cls):
        return "1"

    def start(self, trial, saved):
        self.trial, self.device = trial, torch.device(trial.device)
        assert self.device.type == "cuda"
        start = torch.zeros(2) if saved is None else torch.load(saved / "weights.pt", weights_only=True)
        self.weights = start.to(self.device).requires_grad_()

    def run_epoch(self, epoch):
        labels = torch.tensor(self.trial.train_labels, dtype=torch.float32, device=self.device)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(self.logits(self.trial.train), labels)
        (gradient,) = torch.autograd.grad(loss, self.weights)
        self.weights = (self.weights - self.options.rate * gradient).detach().requires_grad_()
        return {"loss": loss.item()}

    def predict(self, ids):
        high = torch.sigmoid(self.logits(ids)).double().detach().cpu()
        return torch.stack([1 - high, high], dim=1).numpy()

    def save(self, folder):
        torch.save(self.weights.detach().cpu(), folder / "weights.pt")

    def logits(self, ids):
        values = torch.tensor([int(i[1:]) % 2 - 0.5 for i in ids], device=self.device)
        return self.weights[0] * values + self.weights[1]
'''
STUDY = {
    "name": "logistic",
    "trainer": "logistic.py:Logistic",
    "tasks": {"level": {"classes": {"low": ["low"], "high": ["high"]}, "positive": "high"}},
    "seeds": [0, 1],
    "set": {"epochs": 5},
    "arms": [{"name": "plain"}, {"name": "slow", "set": {"rate": 0.01}}],
    "reference": "plain",
    "resources": {"cpu": 1, "gpu": 0.5},
}


def test_its_trials_train_on_the_card_and_are_recorded_with_it(tmp_path: Path, one_gpu: str) -> None:
    (tmp_path / "logistic.py").write_text(TRAINER)
    file = tmp_path / "logistic.yaml"
    file.write_text(json.dumps(STUDY))
    summary = run_study(load_study(file), RunOptions(results=tmp_path / "results"))
    assert (summary.finished, summary.exit_code) == (4, 0), summary.failed
    trials = Ledger(tmp_path / "results").trials()
    assert set(trials["device"]) == {one_gpu}
    epochs = Ledger(tmp_path / "results").epochs()
    assert epochs[epochs["split"] == "val"]["accuracy"].max() == 1.0
