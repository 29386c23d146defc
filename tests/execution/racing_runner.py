"""A runner with the validation scores of ``scores.json`` in the results folder: arm → one score per seed."""

from __future__ import annotations

import json

from scripted_runner import ScriptedRunner

from agrm_study.training.outcome import EpochRow


class RacingRunner(ScriptedRunner):
    """A `ScriptedRunner` whose score on validation data is given: a function of arm, task and seed alone."""

    def _rows(self, epoch: int) -> tuple[EpochRow, ...]:
        trial = self.work.trial
        scores = json.loads((self.root / "scores.json").read_text())
        value = float(scores[trial.arm][trial.seed])
        train, _ = super()._rows(epoch)
        return (
            train,
            EpochRow(epoch=epoch, split="val", network="student", loss=1 - value, metrics={"macro_f1": value}),
            EpochRow(epoch=epoch, split="val", network="teacher", loss=1 - value, metrics={"macro_f1": value}),
        )
