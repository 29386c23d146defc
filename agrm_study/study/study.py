"""A study that is ready to be planned: its arms, tasks, seeds and recipes."""

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
    """The settings that the tuning of an arm has chosen on a task, and the arm's recipe with them."""

    settings: Mapping[str, Any]
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of the tables.

    Attributes:
        name: Printed name.
        settings: Settings of the arm, by dotted name, in plain JSON values.
        recipe: All settings of the arm; task and seed are placeholders.
        accelerator: Type of accelerator that its trials run on; None for that of the study.
        seed_offset: Added to each of the study's seeds.
        space: Search space of its tuning, in place of the study's space; None for that of the study.
        tuned: Result of its tuning, by task; empty without tuning, or before the tuning has finished.
    """

    name: str
    settings: Mapping[str, Any]
    recipe: Recipe
    accelerator: str | None = None
    seed_offset: int = 0
    space: Mapping[str, Dimension] | None = None
    tuned: Mapping[str, Tuned] = field(default_factory=dict)

    def recipe_on(self, task: str) -> Recipe:
        """Its settings on a task, including those chosen by its tuning."""
        return self.tuned[task].recipe if task in self.tuned else self.recipe

    def settings_on(self, task: str) -> dict[str, Any]:
        """Settings in which it differs from the base recipe on a task, by dotted name."""
        return {**self.settings, **(self.tuned[task].settings if task in self.tuned else {})}

    def seeds(self, of_study: Sequence[int]) -> tuple[int, ...]:
        """The arm's training seeds, derived from those of the study."""
        return tuple(seed + self.seed_offset for seed in of_study)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study: one question, one file, one results folder; immutable after loading.

    Attributes:
        tasks: By name, in the order of the file.
        seeds: Training seeds of the replicates, in execution order; in a race, the maximum per arm.
        split_seed: Seed of the split, the same for all trials; with repeated folds, that of the first repeat.
        splits: Folds over the labelled subjects; None for a single split.
        arms: Rows of the tables; for a search the base recipe alone (when it is the reference) or none.
        varies: Which of the three keys defines the varied settings.
        factors: Dotted names of the varied settings, in the order of the file.
        search: The search, or None.
        tune: How each arm is tuned before its seeds are run, or None.
        race: How arms are dropped while seeds are added; None if every arm gets all seeds.
        base: The recipe that the arms modify.
        base_name: Name or file of the recipe that `base` started from.
        sharing: Whether common epochs of trials are trained once; ``keep`` also keeps the final training states.
        keep_weights: Trials whose best weights are kept on disk.
        path: The study file; None for a study read back from a results folder.
        parts: The study's own parts; its recipes hold their full names.
        sources: Their source code; empty for a study read back from a results folder, which keeps it in ``parts/``.
        task_places: Place of each part of `tasks`, for messages; empty for a study read back from a results folder.
        followed: Settings that were shortened with `epochs`, for messages; `base` has their values.
        impossible: One sentence for each space in which some combinations give no recipe.
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
        """The arm with that name.

        Raises:
            KeyError: If there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def task(self, name: str) -> Task:
        """The task with that name.

        Raises:
            InputError: The study has no such task: it was changed after the trial.
        """
        if name not in self.tasks:
            raise InputError(
                "is not a task of the present study", field="task", given=name, allowed=", ".join(self.tasks)
            )
        return self.tasks[name]

    @property
    def first_task(self) -> str:
        """Name of the first task; the only one of a search."""
        return next(iter(self.tasks))

    def trial_recipe(self, arm: Arm, task: str, seed: int) -> Recipe:
        """All settings of one trial of an arm on the task with the given name."""
        return arm.recipe_on(task).model_copy(
            update={"task": self.tasks[task], "seed": seed, "split_seed": self.split_seed}
        )

    def divided(self, recipe: Recipe) -> Iterator[tuple[Fold | None, Recipe]]:
        """The recipes into which the folds of the study divide a recipe; the recipe itself, with None, without folds.

        Args:
            recipe: A recipe with the split seed of the study.
        """
        if self.splits is None:
            yield None, recipe
        else:
            yield from divided(recipe, self.splits)

    def folds(self) -> tuple[Fold | None, ...]:
        """The folds of the study, repeat by repeat; None alone without folds."""
        return tuple(fold for fold, _ in self.divided(self.base))

    @property
    def divisions(self) -> int:
        """Training runs per arm, task and seed: folds × repeats, or 1 for a single split."""
        return 1 if self.splits is None else self.splits.folds * self.splits.repeats
