"""A runner whose student reaches 0.9 on validation data and whose teacher, available from epoch 2, reaches 0.1."""

from __future__ import annotations

from scripted_runner import ScriptedRunner

from agrm_study.training.outcome import EpochRow

STUDENT, TEACHER = 0.9, 0.1


class TwoNetworksRunner(ScriptedRunner):
    """Scores that differ between the networks as far as they can."""

    def _rows(self, epoch: int) -> tuple[EpochRow, ...]:
        train, _ = super()._rows(epoch)
        networks = {"student": STUDENT} | ({"teacher": TEACHER} if epoch > 1 else {})
        return (
            train,
            *(
                EpochRow(epoch=epoch, split="val", network=network, loss=1 - value, metrics={"macro_f1": value})  # type: ignore[arg-type]
                for network, value in networks.items()
            ),
        )

    def outcome(self):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        return replace(super().outcome(), best_epoch=self.epoch)
