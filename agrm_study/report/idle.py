"""Settings without effect: arms that share the same training runs, and semi-supervision without effect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow.compute as pc

from agrm_study.plan.same_training import SameTraining, idle_between
from agrm_study.records.reader import Ledger
from agrm_study.report.study_info import ArmInfo, Planned, StudyInfo
from agrm_study.study.tasks import task_words

SAME = "§"
"""Superscript after the name of an arm that shares its trials with another arm."""


def same_arms(arms: Iterable[ArmInfo], planned: Iterable[Planned]) -> tuple[SameTraining, ...]:
    """Groups of arms that share trials, in the order of their first arm; identical trials have the same id."""
    recipes = {arm.name: arm.recipe for arm in arms}
    first: dict[str, str] = {}
    group_of: dict[str, str] = {}
    for p in planned:
        if p.arm not in recipes:
            continue
        joined = group_of.get(first.setdefault(p.trial_id, p.arm), first[p.trial_id])
        kept = group_of.setdefault(p.arm, joined)
        if kept != joined:
            group_of = {arm: kept if name == joined else name for arm, name in group_of.items()}
    groups: dict[str, list[str]] = {}
    for arm in recipes:
        groups.setdefault(group_of.get(arm, arm), []).append(arm)
    return tuple(
        SameTraining(tuple(group), idle_between([recipes[arm] for arm in group]))
        for group in groups.values()
        if len(group) > 1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverActed:
    """Semi-supervised trials of an arm on a task that were in effect trained with supervision only.

    Attributes:
        arm: The arm.
        task: The task.
        trials: Number of finished trials.
        no_weight: Number of trials whose λ was never above 0, so that unlabelled clips had no weight.
        no_label: Number of trials with λ above 0 and coverage 0 in every epoch, so that no pseudo-label was used.
        consistency: Whether the method has a consistency loss, which does not require pseudo-labels.
    """

    arm: str
    task: str
    trials: int
    no_weight: int
    no_label: int
    consistency: bool

    def sentence(self, *, several_tasks: bool) -> str:
        """The finding as a sentence."""
        found = []
        if self.no_weight:
            found.append(f"λ was never above 0 in {self._of(self.no_weight)}: unlabelled clips had no effect")
        if self.no_label:
            left = "only the consistency loss had an effect" if self.consistency else "unlabelled clips had no effect"
            found.append(
                f"coverage was 0 in every epoch of {self._of(self.no_label)}: no pseudo-label was used, {left}"
            )
        arm = f"{self.arm} ({task_words(self.task)})" if several_tasks else self.arm
        what = "Pseudo-labels" if self.consistency and not self.no_weight else "Semi-supervision"
        return f"{what} had no effect for {arm}: {'; '.join(found)}."

    def _of(self, n: int) -> str:
        if n == self.trials:
            return {1: "its only trial", 2: "both trials"}.get(n, f"all {n} trials")
        return f"{n} of {self.trials} trials"


def finished_of(
    arms: Collection[str], replicates: Mapping[tuple[str, str], Sequence[Planned]], finished: Collection[str]
) -> dict[tuple[str, str], list[str]]:
    """Finished trials of the given arms by (arm, task), omitting pairs without trials."""
    return {
        (arm, task): ids
        for (arm, task), planned in replicates.items()
        if arm in arms and (ids := [p.trial_id for p in planned if p.trial_id in finished])
    }


def never_acted(
    ledger: Ledger, study: StudyInfo, replicates: Mapping[tuple[str, str], Sequence[Planned]], finished: set[str]
) -> tuple[NeverActed, ...]:
    """The semi-supervised arms and tasks with trials that were in effect trained with supervision only, from the
    `epochs` records.

    Args:
        ledger: The records.
        study: The study and its arms.
        replicates: Planned trials by (arm, task).
        finished: Ids of the finished trials.
    """
    arms = {a.name: a for a in study.arms if a.recipe.uses_unlabelled}
    mine = finished_of(arms, replicates, finished)
    wanted = sorted({trial_id for ids in mine.values() for trial_id in ids})
    if not wanted:
        return ()
    table = ledger.epoch_table(["trial_id", "split", "ramp_weight", "pseudo_coverage"], trial_ids=wanted)
    train = table.filter(pc.equal(table["split"], "train"))
    highest = train.group_by("trial_id").aggregate([("ramp_weight", "max"), ("pseudo_coverage", "max")]).to_pylist()
    weight = {row["trial_id"]: row["ramp_weight_max"] for row in highest}
    coverage = {row["trial_id"]: row["pseudo_coverage_max"] for row in highest}
    found = []
    for (arm, task), ids in mine.items():
        no_weight = [t for t in ids if weight.get(t) is not None and not weight[t] > 0]
        no_label = []
        if arms[arm].accepts:
            no_label = [t for t in ids if t not in no_weight and coverage.get(t) is not None and not coverage[t] > 0]
        if no_weight or no_label:
            found.append(
                NeverActed(
                    arm=arm,
                    task=task,
                    trials=len(ids),
                    no_weight=len(no_weight),
                    no_label=len(no_label),
                    consistency=arms[arm].recipe.has_teacher,
                )
            )
    return tuple(found)
