"""Selects finished trials from a results folder, and restores their recipes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agrm_study.plan.plan import read_cells
from agrm_study.records.location import Location
from agrm_study.records.no_results import no_results
from agrm_study.records.part_sources import offer_kept_sources
from agrm_study.records.reader import Ledger
from agrm_study.records.removed_weights import why_without_weights
from agrm_study.study.counted import some
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.own_trainer import require_shipped_trainer
from agrm_study.study.recipe import Recipe
from agrm_study.study.resolved import read_resolved
from agrm_study.study.study import Arm, Study
from agrm_study.study.trained_recipe import trained_recipe

_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTrial:
    """A finished trial from the records.

    Attributes:
        trial_id: Id of the trial.
        arm: The selected arm; other arms may share the trial.
        task: Task of the trial.
        seed: Seed of the trial.
        recipe: All settings of the trial.
        weights: Path of the best weights; the file exists only if the weights were saved.
        weights_digest: Digest of the weights; null in records without digests.
        best_epoch: Epoch of the best weights.
        data_fingerprint, split_fingerprint: Fingerprints of the training data and split.
    """

    trial_id: str
    arm: str
    task: str
    seed: int
    recipe: Recipe
    weights: Path
    weights_digest: str | None
    best_epoch: int
    data_fingerprint: str
    split_fingerprint: str

    @property
    def why_without_weights(self) -> str:
        """Reason why the weights are missing, for an error message."""
        return why_without_weights(Location.of(self.weights.parents[2]), self.trial_id)


class FinishedTrials:
    """The finished final (non-search) trials of a results folder.

    Args:
        results: A local results folder.

    Attributes:
        study: The study as resolved for the run.
        ledger: The records of the study.

    Raises:
        InputError: If the folder contains no results, or no trial has finished.
    """

    def __init__(self, results: Path) -> None:
        if not (results / "study.yaml").is_file():
            raise no_results(results, "study.yaml")
        self._results = results
        offer_kept_sources(results)
        self.study: Study = read_resolved(results / "study.yaml")
        require_shipped_trainer(self.study, results)
        self.ledger = Ledger(results)
        trials = self.ledger.trials()
        finished = trials[trials["status"] == "finished"]
        self._rows: dict[str, dict[str, Any]] = {
            str(row["trial_id"]): {str(name): value for name, value in row.items()}
            for row in finished.to_dict("records")
        }
        if not self._rows:
            raise InputError(
                "no trial has finished", where=results, hint=f"`agrm-study status {results}` shows the running trials."
            )
        self._cells = read_cells(results / "plan.json")

    def by_id(self, prefix: str) -> FinishedTrial:
        """The trial whose id starts with a prefix.

        Raises:
            InputError: If no trial or more than one trial matches, or the trial is a search trial.
        """
        ids = list(self._rows)
        found = [name for name in ids if name.startswith(prefix)]
        if len(found) == 1:
            return self._trial(found[0], None)
        if found:
            raise InputError(
                "the prefix matches several trial ids", field="TRIAL", given=prefix, allowed=some(sorted(found), _SHOWN)
            )
        raise InputError(
            "must be the id of a finished trial, or a prefix of it",
            field="TRIAL",
            given=prefix,
            allowed=some(sorted(name for name in ids if self._rows[name]["phase"] == "final"), _SHOWN),
            hint=did_you_mean(prefix, ids) or "Or select it with --arm NAME --seed N --task TASK.",
        )

    def by_cell(self, arm: str, seed: int | None, task: str | None) -> FinishedTrial:
        """The trial of an arm (in a study with folds, of fold 0); by default, with the arm's first task and seed.

        Raises:
            InputError: If the arm, task or seed is unknown, or the trial has not finished.
        """
        arms = list(dict.fromkeys(cell.arm for cell in self._cells))
        if arm not in arms:
            raise InputError(
                "must be an arm of the study",
                field="--arm",
                given=arm,
                allowed=some(arms, _SHOWN),
                hint=did_you_mean(arm, arms),
            )
        cells = [cell for cell in self._cells if cell.arm == arm]
        tasks = list(dict.fromkeys(cell.task for cell in cells))
        task = tasks[0] if task is None else task
        if task not in tasks:
            raise InputError("must be a task of the study", field="--task", given=task, allowed=", ".join(tasks))
        cells = [cell for cell in cells if cell.task == task]
        seeds = [cell.seed for cell in cells]
        seed = seeds[0] if seed is None else seed
        if seed not in seeds:
            raise InputError(
                "must be a seed of the arm", field="--seed", given=seed, allowed=", ".join(map(str, seeds))
            )
        trial_id = min((cell.repeat, cell.fold or 0, cell.trial_id) for cell in cells if cell.seed == seed)[-1]
        if trial_id not in self._rows:
            raise InputError(
                "the trial has not finished",
                field="TRIAL",
                given=f"{arm}, {task}, seed {seed} ({trial_id})",
                hint=f"`agrm-study status {self._results}` shows its state.",
            )
        return self._trial(trial_id, arm)

    def replicates(self, trial: FinishedTrial) -> list[FinishedTrial]:
        """The finished trials of the same arm, task and fold, including this one, sorted by seed."""
        mine = [c for c in self._cells if c.arm == trial.arm and c.task == trial.task]
        folds = {(c.repeat, c.fold) for c in mine if c.trial_id == trial.trial_id}
        ids = [c.trial_id for c in mine if (c.repeat, c.fold) in folds or not folds]
        found = [self._trial(name, trial.arm) for name in dict.fromkeys(ids) if name in self._rows]
        if all(each.trial_id != trial.trial_id for each in found):
            found.append(trial)
        return sorted(found, key=lambda each: each.seed)

    def _trial(self, trial_id: str, arm: str | None) -> FinishedTrial:
        row = self._rows[trial_id]
        if row["phase"] != "final":
            raise InputError(
                "must be a final trial: search trials have no saved weights and are not evaluated on the test part",
                field="TRIAL",
                given=trial_id,
            )
        return FinishedTrial(
            trial_id=trial_id,
            arm=arm or str(row["arm"]),
            task=str(row["task"]),
            seed=int(row["seed"]),
            recipe=trained_recipe(self.study, row),
            weights=self._results / "checkpoints" / trial_id / "best.safetensors",
            weights_digest=row["weights_digest"],
            best_epoch=int(row["best_epoch"]),
            data_fingerprint=str(row["data_fingerprint"]),
            split_fingerprint=str(row["split_fingerprint"]),
        )


def study_with_recipe(study: Study, recipe: Recipe) -> Study:
    """The study with this recipe as an additional arm, so that data needed only by a promoted trial are included."""
    return replace(study, arms=(*study.arms, Arm(name="explained", settings={}, recipe=recipe)))
