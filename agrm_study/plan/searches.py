"""Searches of a study (one over its base recipe, or one per tuned arm and task), and the trials of a point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agrm_study.plan.acting import idle_settings
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.arm_names import arm_name, rounded, symbols
from agrm_study.study.errors import InputError
from agrm_study.study.frozen_layers import LayerNames
from agrm_study.study.merge import build_recipe, with_values
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.study.search_space import Dimension, SearchSettings
from agrm_study.study.study import Arm, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSearch:
    """One search of a study.

    Attributes:
        settings: Sampler, number of points, objectives, seeds.
        space: Dotted setting → distribution.
        task: Name of the task.
        arm: The tuned arm; None for the search of a whole study, whose best points become arms.
        layers: Returns the layers of a backbone; None disables the check that frozen layers exist.
    """

    study: Study = field(repr=False)
    settings: SearchSettings
    space: Mapping[str, Dimension]
    task: str
    arm: Arm | None = None
    layers: LayerNames | None = field(default=None, repr=False, compare=False)

    @property
    def arm_name(self) -> str:
        """Name of the tuned arm; empty for the search of a whole study."""
        return "" if self.arm is None else self.arm.name

    @property
    def title(self) -> str:
        """Name of the search for messages: the arm, and the task if the study has several tasks."""
        on_task = f" on {self.task}" if len(self.study.tasks) > 1 else ""
        return f"{self.arm_name}{on_task}"

    @property
    def base(self) -> Recipe:
        """The recipe that its points modify."""
        return self.study.base if self.arm is None else self.arm.recipe

    @property
    def chosen(self) -> int:
        """Number of points that become arms or the settings of an arm."""
        return 1 if self.study.search is None else self.study.search.promote

    @property
    def final_trials(self) -> int:
        """Number of final-phase trials that are added when the search ends."""
        if self.arm is not None:
            return len(self.study.seeds)
        return self.chosen * len(self.study.tasks) * len(self.study.seeds)

    def point_name(self, settings: Mapping[str, Any]) -> str:
        """The name of a point, composed of its factors; in a tuned study, preceded by the name of its arm."""
        labels: dict[str, tuple[str | None, Any]] = {}
        for name, value in settings.items():
            choices = self.space[name].choices or ()
            labels[name] = (next((label for label, choice in choices if choice == value), None), rounded(value))
        name = arm_name(labels, symbols(list(self.space)))
        return name if self.arm is None else f"{self.arm.name}: {name}"

    def recipe(self, settings: Mapping[str, Any]) -> Recipe:
        """The recipe of a point; task and seed are placeholders.

        Raises:
            InputError: If a value is not valid in a recipe.
        """
        place = Place(self.study.path)
        problems = Problems()
        prefix = "search.space: " if self.arm is None else f"tuning of {self.arm.name}: "
        recipe = build_recipe(
            with_values(self.base.settings(), settings),
            Places(place),
            problems,
            {},
            prefix=prefix,
            parts=self.study.parts,
            tasks=self.study.tasks.values(),
            layers=self.layers,
        )
        problems.raise_any()
        if recipe is None:
            raise InputError("the search sampled values that are not valid in a recipe", where=self.study.path)
        return recipe

    def trials(self, settings: Mapping[str, Any], builder: TrialBuilder) -> tuple[TrialSpec, ...]:
        """The trials of a point, one per seed of the search.

        Their phase is ``search``. Their arm is the tuned arm; in the search of a study, it is named after the point.

        Raises:
            InputError: If a value is not valid in a recipe.
        """
        study, own = self.study, {} if self.arm is None else self.arm.settings
        name = self.point_name(settings) if self.arm is None else self.arm.name
        arm = Arm(name=name, settings={**own, **settings}, recipe=self.recipe(settings))
        recipe = study.trial_recipe(arm, self.task, self.settings.seed)
        seeds = self.settings.training_seeds
        return tuple(builder.replicates(recipe, seeds, arm=name, params=arm.settings, phase="search"))


def searches(study: Study, layers: LayerNames | None = None) -> tuple[PlannedSearch, ...]:
    """The searches of a study, in the order of its tasks and arms; empty for a study without searches.

    Args:
        study: The study.
        layers: Returns the layers of a backbone, to detect points that freeze nonexistent layers.

    Raises:
        InputError: If no setting in an arm's space has an effect in that arm.
    """
    if study.search is not None:
        search = study.search
        return (PlannedSearch(study=study, settings=search, space=search.space, task=study.first_task, layers=layers),)
    if study.tune is None:
        return ()
    for arm in study.arms:
        _check_acts(study, arm, space_of(study, arm))
    return tuple(
        PlannedSearch(study=study, settings=study.tune, space=space_of(study, arm), task=task, arm=arm, layers=layers)
        for task in study.tasks
        for arm in study.arms
    )


def space_of(study: Study, arm: Arm) -> Mapping[str, Dimension]:
    """The settings that are varied when an arm is tuned."""
    assert study.tune is not None
    return study.tune.space if arm.space is None else arm.space


def idle_dimensions(study: Study, arm: Arm) -> dict[str, str]:
    """The dimensions of an arm's space that have no effect in the arm, with the reason.

    A dimension has an effect if its setting affects training with the arm's recipe, or with that recipe after one other
    dimension is set to one of its values.
    """
    space = space_of(study, arm)
    found = {name: why for name, why in idle_settings(arm.recipe).items() if name in space}
    for name, dimension in space.items():
        for value in dimension.probes if found else ():
            tree = with_values(arm.recipe.settings(), {name: value})
            recipe = build_recipe(tree, Places(Place(study.path)), Problems(), {}, parts=study.parts)
            if recipe is not None:
                idle = idle_settings(recipe)
                found = {other: why for other, why in found.items() if other in idle}
    return found


def _check_acts(study: Study, arm: Arm, space: Mapping[str, Dimension]) -> None:
    idle = idle_dimensions(study, arm)
    if idle.keys() == space.keys():
        raise InputError(
            f"the arm {arm.name} has nothing to tune: no setting in its space has an effect",
            where=study.path,
            field="tune.space" if arm.space is None else f"arms: {arm.name}: tune.space",
            given=", ".join(f"{name} ({why})" for name, why in idle.items()),
            hint="Define a separate space for this arm, `tune: {space: {…}}`.",
        )
