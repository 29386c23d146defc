"""Trials of a search, and the promotion of its best to arms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agrm_study.plan.acting import acting_recipe
from agrm_study.plan.expand import TrialBuilder
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.arm_names import arm_name, symbols
from agrm_study.study.errors import InputError
from agrm_study.study.merge import Tree, build_recipe, with_settings
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.study.search_space import Search
from agrm_study.study.settings import Setting
from agrm_study.study.study import Arm, Study


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished search trial.

    Attributes:
        settings: Drawn values by dotted name; dimensions whose condition did not hold are absent.
        values: Its objectives on validation, in the order of the search's metrics.
    """

    settings: Mapping[str, Any]
    values: tuple[float, ...]


def search_arm(study: Study, settings: Mapping[str, Any]) -> Arm:
    """The arm of a point of the search space, named after its factors.

    Raises:
        InputError: For values that a recipe does not allow.
    """
    search = _search(study)
    labels: dict[str, tuple[str | None, Any]] = {}
    for name, value in settings.items():
        choices = search.space[name].choices or ()
        labels[name] = (next((label for label, choice in choices if choice == value), None), _rounded(value))
    symbol_of = symbols(list(search.space))
    return Arm(name=arm_name(labels, symbol_of), settings=dict(settings), recipe=_recipe(study, settings))


def search_trial(study: Study, settings: Mapping[str, Any], builder: TrialBuilder) -> TrialSpec:
    """The trial of a point of the search space: phase ``search``, on the search's own seed.

    Raises:
        InputError: For values that a recipe does not allow.
    """
    arm = search_arm(study, settings)
    recipe = study.trial_recipe(arm, study.first_task, _search(study).seed)
    [trial] = builder.replicates(recipe, [recipe.seed], arm=arm.name, params=arm.settings, phase="search")
    return trial


def promoted(study: Study, candidates: Sequence[Candidate]) -> Study:
    """The study whose arms are the best candidates on validation, beside the base when it is the reference.

    With several objectives the Pareto front is promoted, ordered by the first objective. Candidates with the same
    training count once; those with an undefined value are ignored.

    Args:
        study: A study with a search.
        candidates: Its finished search trials.
    """
    search = _search(study)
    signs = [1.0 if direction == "maximize" else -1.0 for direction in search.directions]
    scored = [(tuple(s * v for s, v in zip(signs, c.values, strict=True)), c) for c in candidates]
    usable = [(score, c) for score, c in scored if all(math.isfinite(value) for value in score)]
    if len(signs) > 1:
        usable = [item for item in usable if not any(_dominates(other, item[0]) for other, _ in usable)]
    ranked = sorted(usable, key=lambda item: item[0], reverse=True)
    arms: dict[str, Arm] = {}
    for _, candidate in ranked:
        if len(arms) == search.promote:
            break
        arm = search_arm(study, candidate.settings)
        if all(acting_recipe(other.recipe) != acting_recipe(arm.recipe) for other in arms.values()):
            arms[_distinct(arm.name, arms)] = arm
    chosen = tuple(replace(arm, name=name) for name, arm in arms.items())
    return replace(study, arms=(*study.arms, *chosen))


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def _distinct(name: str, taken: Mapping[str, object]) -> str:
    """The name, numbered if rounding made two names equal."""
    number = 2
    candidate = name
    while candidate in taken:
        candidate, number = f"{name} ({number})", number + 1
    return candidate


def _rounded(value: Any) -> Any:
    """The value, with floats rounded to four significant digits."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _recipe(study: Study, settings: Mapping[str, Any]) -> Recipe:
    place = Place(study.path)
    tree: Tree = with_settings(study.base.settings(), [Setting(name, value, place) for name, value in settings.items()])
    problems = Problems()
    recipe = build_recipe(
        tree, Places(place), problems, {}, prefix="search.space: ", parts=study.parts, tasks=study.tasks.values()
    )
    problems.raise_any()
    if recipe is None:
        raise InputError("the search drew values that no recipe allows", where=study.path)
    return recipe


def _search(study: Study) -> Search:
    if study.search is None:
        raise ValueError(f"the study {study.name} does not search")
    return study.search
