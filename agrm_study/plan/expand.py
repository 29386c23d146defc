"""Expansion of a study into trials: arms × tasks × folds × seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from agrm_study.plan.acting import acting_recipe, labelled_view
from agrm_study.plan.gc_pause import gc_paused
from agrm_study.plan.identity import FileHash, config_id, configuration, file_hash, trial_id
from agrm_study.plan.order import running_order
from agrm_study.plan.plan import Cell, Plan
from agrm_study.plan.trial import Phase, TrialSpec
from agrm_study.study.data_settings import Data
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.parts.use import as_trained
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

Fingerprints = Callable[[Recipe], tuple[str, str]]
"""Fingerprints of the data and the split of a recipe."""


@gc_paused()
def expand(study: Study, fingerprints: Fingerprints, *, hash_file: FileHash = file_hash) -> Plan:
    """The plan of a study: arms × tasks × folds × seeds in execution order, with equal trials merged.

    An arm to be tuned has no trials for a task until its search for that task has ended.

    Args:
        study: The study.
        fingerprints: Returns the fingerprints of a recipe's data and split; called once per distinct data section.
        hash_file: Hashes the files specified in recipes.

    Raises:
        InputError: If a manifest is missing or a file cannot be read (raised by ``fingerprints`` and ``hash_file``).
    """
    builder = TrialBuilder(study.name, fingerprints, parts=study.parts, hash_file=hash_file)
    trials: dict[str, TrialSpec] = {}
    cells: list[Cell] = []
    for arm in study.arms:
        for task in study.tasks:
            if study.tune is not None and task not in arm.tuned:
                continue  # the settings of the arm are not known yet
            whole = study.trial_recipe(arm, task, study.seeds[0])
            for fold, recipe in study.divided(whole):
                seeds, number = arm.seeds(study.seeds), None if fold is None else fold.number
                for trial in builder.replicates(recipe, seeds, arm=arm.name, params=arm.settings_on(task), fold=number):
                    trials.setdefault(trial.trial_id, trial)
                    cells.append(Cell.of(trial, arm.name, fold))
    offsets = sorted({arm.seed_offset for arm in study.arms})
    rounds = [seed + offset for seed in study.seeds for offset in offsets]
    return Plan(study=study.name, trials=running_order(trials.values(), rounds), cells=tuple(cells))


class TrialBuilder:
    """Builds trials from recipes, computing each fingerprint and file hash once.

    Args:
        study: Name of the study.
        fingerprints: See `expand`.
        parts: The user-defined parts of the study.
        hash_file: See `expand`.
    """

    def __init__(
        self,
        study: str,
        fingerprints: Fingerprints,
        *,
        parts: Sequence[OwnPart] = (),
        hash_file: FileHash = file_hash,
    ) -> None:
        self._study, self._parts = study, tuple(parts)
        self._fingerprints, self._known = fingerprints, dict[tuple[Data, int], tuple[str, str]]()
        self._known_labelled = dict[tuple[Data, int], str]()
        self._hash_file: FileHash = cache(hash_file)

    def replicates(
        self,
        recipe: Recipe,
        seeds: Iterable[int],
        *,
        arm: str,
        params: Mapping[str, Any],
        phase: Phase = "final",
        fold: int | None = None,
    ) -> list[TrialSpec]:
        """The trials of a recipe, one per seed.

        Args:
            recipe: Recipe with task and split seed; its own seed is ignored.
            seeds: Training seeds.
            arm: Name of the arm.
            params: Settings of the arm, by dotted name.
            phase: ``search`` or ``final``.
            fold: The fold used as the test part; None for a single split.

        Raises:
            InputError: See `expand`.
        """
        recipe = as_trained(recipe, self._parts)
        data, split = self._fingerprint(recipe)
        labelled = self._labelled_fingerprint(recipe)
        config = config_id(configuration(recipe, data_fingerprint=data, phase=phase, hash_file=self._hash_file))
        seen = split if recipe.uses_unlabelled else labelled
        acting = acting_recipe(recipe)
        return [
            TrialSpec(
                trial_id=trial_id(config, seed=seed, split_seed=recipe.split_seed, split_fingerprint=seen),
                config_id=config,
                study=self._study,
                phase=phase,
                arm=arm,
                recipe=acting.model_copy(update={"seed": seed}),
                params=dict(params),
                data_fingerprint=data,
                split_fingerprint=split,
                labelled_fingerprint=labelled,
                fold=fold,
            )
            for seed in seeds
        ]

    def _fingerprint(self, recipe: Recipe) -> tuple[str, str]:
        key = recipe.data, recipe.split_seed
        if key not in self._known:
            self._known[key] = self._fingerprints(recipe)
        return self._known[key]

    def _labelled_fingerprint(self, recipe: Recipe) -> str:
        key = recipe.data, recipe.split_seed
        if key not in self._known_labelled:
            self._known_labelled[key] = self._fingerprint(labelled_view(recipe))[1]
        return self._known_labelled[key]
