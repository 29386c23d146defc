"""A loaded study, ready for planning: its arms, tasks, seeds and recipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agrm_study.study.document import KeyPath
from agrm_study.study.errors import InputError
from agrm_study.study.following import Followed
from agrm_study.study.parts.source import OwnPart, PartSource
from agrm_study.study.problems import Place
from agrm_study.study.recipe import Recipe
from agrm_study.study.resources import Resources
from agrm_study.study.search_space import Dimension, Search, Tune
from agrm_study.study.seeds import Race
from agrm_study.study.spec import KeepWeights, ReportRequest, Sharing
from agrm_study.study.splits import Fold, Splits, divided
from agrm_study.study.tasks import Task

Varies = Literal["arms", "grid", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The settings selected by the tuning of an arm on a task, and the arm's recipe with these settings."""

    settings: Mapping[str, Any]
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of the tables.

    Attributes:
        name: Printed name.
        settings: Settings of the arm by dotted name, as plain JSON values.
        recipe: All settings of the arm, with placeholders for task and seed.
        accelerator: Type of accelerator on which its trials run; None for the study's type.
        seed_offset: Offset added to each seed of the study.
        space: Search space of its tuning; None for the study's space.
        tuned: Result of its tuning, by task; empty if there is no tuning or it has not finished.
    """

    name: str
    settings: Mapping[str, Any]
    recipe: Recipe
    accelerator: str | None = None
    seed_offset: int = 0
    space: Mapping[str, Dimension] | None = None
    tuned: Mapping[str, Tuned] = field(default_factory=dict)

    def recipe_on(self, task: str) -> Recipe:
        """All settings of the arm on a task, including those selected by its tuning."""
        return self.tuned[task].recipe if task in self.tuned else self.recipe

    def settings_on(self, task: str) -> dict[str, Any]:
        """Settings in which the arm differs from the base recipe on a task, by dotted name."""
        return {**self.settings, **(self.tuned[task].settings if task in self.tuned else {})}

    def seeds(self, of_study: Sequence[int]) -> tuple[int, ...]:
        """The training seeds of the arm, derived from the seeds of the study."""
        return tuple(seed + self.seed_offset for seed in of_study)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study with its arms, tasks and settings; immutable after loading.

    Attributes:
        tasks: Tasks by name, in the order of the file.
        seeds: Training seeds of the replicates, in execution order; in a race, the maximum per arm.
        split_seed: Seed of the split, the same for all trials; with repeated folds, the seed of the first repeat.
        splits: Folds over the labelled subjects; None for a single split.
        arms: Rows of the tables; for a search only the base recipe (if it is the reference) or none.
        varies: The key that defines the varied settings.
        factors: Dotted names of the varied settings, in the order of the file.
        search: The search, or None.
        tune: Tuning of each arm before its seeds are run, or None.
        race: Rule by which arms are dropped while seeds are added; None if every arm gets all seeds.
        base: The recipe that the arms modify, with the study's own settings.
        base_name: Name or file of the recipe on which `base` is based.
        sharing: Whether epochs that trials have in common are trained only once; ``keep`` also keeps final training
            states.
        keep_weights: Trials whose best weights are kept on disk.
        path: The study file; None for a study read from a results folder.
        parts: User-defined parts; the recipes contain their full names.
        sources: Source code of these parts; empty for a study read from a results folder, which stores it in
            ``parts/``.
        task_places: Location of each part of `tasks`, for messages; empty for a study read from a results folder.
        followed: Settings that were shortened together with `epochs`, for messages; `base` has the new values.
        impossible: One sentence for each space in which some combinations of values result in an invalid recipe.
    """

    name: str
    question: str
    tasks: Mapping[str, Task]
    seeds: tuple[int, ...]
    split_seed: int
    arms: tuple[Arm, ...]
    varies: Varies
    factors: tuple[str, ...]
    search: Search | None
    reference: str | None
    primary_metric: str
    resources: Resources
    report: ReportRequest
    base: Recipe
    base_name: str
    tune: Tune | None = None
    sharing: Sharing = True
    keep_weights: KeepWeights = "all"
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    race: Race | None = None
    splits: Splits | None = None
    path: Path | None = field(default=None, compare=False)
    parts: tuple[OwnPart, ...] = ()
    sources: tuple[PartSource, ...] = field(default=(), compare=False, repr=False)
    task_places: Mapping[KeyPath, Place] = field(default_factory=dict, compare=False, repr=False)
    followed: tuple[Followed, ...] = field(default=(), compare=False)
    impossible: tuple[str, ...] = field(default=(), compare=False)

    def arm(self, name: str) -> Arm:
        """The arm with the given name.

        Raises:
            KeyError: If there is no such arm.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def task(self, name: str) -> Task:
        """The task with the given name.

        Raises:
            InputError: If the study has no such task because it was changed after the trial was run.
        """
        if name not in self.tasks:
            raise InputError(
                "is not a task of the current study", field="task", given=name, allowed=", ".join(self.tasks)
            )
        return self.tasks[name]

    @property
    def first_task(self) -> str:
        """Name of the first task; a search has only one."""
        return next(iter(self.tasks))

    def trial_recipe(self, arm: Arm, task: str, seed: int) -> Recipe:
        """All settings of one trial of an arm on the given task."""
        return arm.recipe_on(task).model_copy(
            update={"task": self.tasks[task], "seed": seed, "split_seed": self.split_seed}
        )

    def divided(self, recipe: Recipe) -> Iterator[tuple[Fold | None, Recipe]]:
        """The recipe of each fold of the study; without folds, None and the recipe itself.

        Args:
            recipe: A recipe with the split seed of the study.
        """
        if self.splits is None:
            yield None, recipe
        else:
            yield from divided(recipe, self.splits)

    def folds(self) -> tuple[Fold | None, ...]:
        """The folds of the study, repeat by repeat; without folds, a single None."""
        return tuple(fold for fold, _ in self.divided(self.base))
