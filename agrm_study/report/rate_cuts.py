"""Arms whose learning rate was cut by a large factor before the unlabelled clips had their full weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from agrm_study.records.reader import Ledger
from agrm_study.report.idle import finished_of
from agrm_study.report.study_info import Planned, StudyInfo
from agrm_study.report.wording import number
from agrm_study.study.tasks import task_words

MANY_FOLD: Final = 8.0
"""Smallest reported factor: three halvings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCut:
    """An arm on a task with trials whose learning rate was cut by a factor of at least `MANY_FOLD` before λ reached its
    maximum.

    Attributes:
        arm: The arm.
        task: The task.
        trials: Number of finished trials.
        cut: Number of trials with such a cut.
        fold: Median factor of these cuts.
    """

    arm: str
    task: str
    trials: int
    cut: int
    fold: float

    def sentence(self, *, several_tasks: bool) -> str:
        """The finding as a sentence."""
        arm = f"{self.arm} ({task_words(self.task)})" if several_tasks else self.arm
        return (
            f"Learning rate of {arm}: in {self.cut} of {self.trials} trials, the plateau schedule had reduced it "
            f"{number(self.fold, 0)}-fold (median) before λ reached its maximum, so the unlabelled clips were used "
            "only at a small learning rate; with optimizer.plateau_armed, only later epochs are counted."
        )


def rate_cuts(
    ledger: Ledger, study: StudyInfo, replicates: Mapping[tuple[str, str], Sequence[Planned]], finished: set[str]
) -> tuple[RateCut, ...]:
    """The arms and tasks with trials as described in `RateCut`, from the `epochs` records.

    Args:
        ledger: The records.
        study: The study and its arms.
        replicates: Planned trials by (arm, task).
        finished: Ids of the finished trials.
    """
    arms = {a.name for a in study.arms if a.recipe.uses_unlabelled and a.recipe.optimizer.schedule == "plateau"}
    mine = finished_of(arms, replicates, finished)
    wanted = sorted({trial_id for ids in mine.values() for trial_id in ids})
    if not wanted:
        return ()
    table = ledger.epoch_table(["trial_id", "epoch", "split", "lr", "ramp_weight"], trial_ids=wanted)
    rows: dict[str, list[tuple[int, float, float]]] = {}
    for row in table.to_pylist():
        if row["split"] == "train" and row["lr"] and row["ramp_weight"] is not None:
            rows.setdefault(row["trial_id"], []).append((row["epoch"], row["lr"], row["ramp_weight"]))
    folds = {trial_id: fold_before_full_weight(sorted(own)) for trial_id, own in rows.items()}
    found = []
    for (arm, task), ids in mine.items():
        cut = [folds[t] for t in ids if folds.get(t, 1.0) >= MANY_FOLD]
        if cut:
            found.append(RateCut(arm=arm, task=task, trials=len(ids), cut=len(cut), fold=median(cut)))
    return tuple(found)


def fold_before_full_weight(epochs: Sequence[tuple[int, float, float]]) -> float:
    """Factor by which the learning rate had been cut in the first epoch with the largest λ; 1 if λ was never above 0.

    Args:
        epochs: Number, learning rate and λ of each epoch, in order.
    """
    largest = max(weight for _, _, weight in epochs)
    if largest <= 0:
        return 1.0
    return epochs[0][1] / next(rate for _, rate, weight in epochs if weight == largest)
