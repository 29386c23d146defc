"""A runner whose trials differ in length and whose validation curves fluctuate, by a hash of their settings."""

from __future__ import annotations

import hashlib
from typing import Any

from scripted_runner import ScriptedRunner

from agrm_study.execution.trial.runner import RunnerContext
from agrm_study.execution.trial.work import Work
from agrm_study.training.outcome import EpochRow


def fraction(*parts: Any) -> float:
    """A number in [0, 1) that these values determine."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16) / 16**8


class NoisyRunner(ScriptedRunner):
    """Between 4 and 9 epochs; some epochs without a defined metric."""

    def start(self, work: Work, context: RunnerContext) -> int:
        epoch = super().start(work, context)
        self.script["epochs"] = 4 + int(6 * fraction("epochs", work.trial.trial_id))
        return epoch

    def _rows(self, epoch: int) -> tuple[EpochRow, ...]:
        train, _ = super()._rows(epoch)
        trial_id = self.work.trial.trial_id
        value = fraction(trial_id) / 2 + fraction(trial_id, epoch) / 2
        if fraction("undefined", trial_id, epoch) < 0.1:
            value = float("nan")
        return (
            train,
            EpochRow(epoch=epoch, split="val", network="student", loss=1 - value, metrics={"macro_f1": value}),
        )
