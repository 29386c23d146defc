"""A runner whose validation metric has a closed form: it approaches 1 − |τ − 0.7| step by step."""

from __future__ import annotations

from scripted_runner import ScriptedRunner

from agrm_study.training.outcome import EpochRow


class SearchRunner(ScriptedRunner):
    """Behaves as script.json says for its arm, or for all arms under ``*``."""

    def _rows(self, epoch: int) -> tuple[EpochRow, ...]:
        value = score(self.work.trial.recipe.ssl.threshold.tau) * min(1.0, 0.5 + epoch / 10)
        return (
            EpochRow(epoch=epoch, split="train", network="student", loss=1 - value, training={"lr": 0.1}),
            EpochRow(
                epoch=epoch,
                split="val",
                network="student",
                loss=1 - value,
                metrics={"macro_f1": value, "accuracy": value**2},
            ),
        )

    def outcome(self):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        outcome = super().outcome()
        [test] = outcome.predictions
        return replace(outcome, best_epoch=self.epoch, predictions=(test, replace(test, split="val")))


def score(tau: float) -> float:
    """What a trial reaches after many epochs."""
    return 1 - abs(tau - 0.7)


class NoisySearchRunner(SearchRunner):
    """A runner whose last score depends on τ and on the seed."""

    def _rows(self, epoch: int) -> tuple[EpochRow, ...]:
        value = noisy_score(self.work.trial.recipe.ssl.threshold.tau, self.work.trial.seed)
        train = EpochRow(epoch=epoch, split="train", network="student", loss=1 - value, training={"lr": 0.1})
        return (
            train,
            EpochRow(epoch=epoch, split="val", network="student", loss=1 - value, metrics={"macro_f1": value}),
        )


def noisy_score(tau: float, seed: int) -> float:
    """The score of τ, less up to 0.1 by seed."""
    return score(tau) - (hash((round(tau * 1e8), seed)) % 1000) / 10_000
