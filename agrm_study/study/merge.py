"""Merging of settings into a validated recipe."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.frozen_layers import LayerNames, frozen_layer_errors
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.parts.use import check_options, with_full_names
from agrm_study.study.problems import Names, Places, Problems
from agrm_study.study.recipe import Model, Recipe
from agrm_study.study.recipe_rules import check_rules
from agrm_study.study.settings import MEMORIES, Setting, value_of
from agrm_study.study.tasks import Task
from agrm_study.study.translate import validated

Tree = dict[str, Any]
"""Settings of a recipe as nested plain values, as in its JSON form."""


def with_settings(tree: Tree, settings: Iterable[Setting]) -> Tree:
    """Like `with_values`, for settings with distinct names."""
    return with_values(tree, {setting.name: setting.value for setting in settings})


def with_values(tree: Tree, values: Mapping[str, Any]) -> Tree:
    """A copy of merged settings with some of them replaced, by dotted name; lists are replaced entirely.

    A moving average specified per step also replaces an earlier memory in epochs (`MEMORIES`), and vice versa.
    """
    result = copy.deepcopy(tree)
    for name, value in values.items():
        *sections, leaf = name.split(".")
        group = result
        for section in sections:
            inner = group.get(section)
            group[section] = group = inner if isinstance(inner, dict) else {}
        group[leaf] = copy.deepcopy(value)
        if name in MEMORIES.values() and group.get("memory_epochs") is not None:
            group["memory_epochs"] = None
    return result


def check_memories(settings: Sequence[Setting], problems: Problems, *, prefix: str = "") -> None:
    """Report a moving average for which one source specifies both a value per step and a memory in epochs."""
    given = {setting.name: setting for setting in settings}
    for memory, per_step in MEMORIES.items():
        if per_step in given and memory in given and given[memory].value is not None:
            problems.add(
                given[memory].place,
                f"{per_step} is given as well, on line {given[per_step].place.line}"
                if given[per_step].place.line
                else f"{per_step} is given as well",
                field=f"{prefix}{memory}",
                given=given[memory].value,
                hint="Keep one of the two: they set the same average, per step and in epochs.",
            )


def build_recipe(
    tree: Tree,
    places: Places,
    problems: Problems,
    names: Names,
    *,
    prefix: str = "",
    parts: Sequence[OwnPart] = (),
    tasks: Iterable[Task] = (),
    layers: LayerNames | None = None,
) -> Recipe | None:
    """The validated recipe, or None after reporting errors.

    Args:
        tree: Merged settings.
        places: Location of each setting.
        problems: Receives the errors.
        names: Valid names by dotted field; fields without an entry are not checked.
        prefix: Prefix of the field for messages (``arm `w/o MTM` ``).
        parts: User-defined parts of the study; the recipe contains their full names.
        tasks: Tasks of the study; the recipe must be compatible with all of them.
        layers: Layer names of a backbone, for checking `model.freeze`; None disables this check.
    """
    try:
        recipe = validated(Recipe, tree, places, prefix=prefix)
    except InputError as fault:
        problems.extend(fault.singles)
        return None
    before = len(problems)
    for field, known in names.items():
        if field.partition(".")[0] in Recipe.model_fields:
            check_name(field, value_of(recipe, field), known, places, problems, prefix=prefix)
    check_options(recipe, parts, places, problems, prefix=prefix)

    def note(rule: str, *settings: str, **more: Any) -> None:
        place = places.latest(tuple(setting.split(".")) for setting in settings)
        problems.add(place, rule, field=f"{prefix}{settings[0]}", **more)

    check_rules(recipe, tasks, note)
    if len(problems) == before:
        recipe = with_full_names(recipe, parts)
        _check_layers(recipe.model, layers, places, problems, prefix)
    return recipe if len(problems) == before else None


def check_name(
    field: str, given: object, known: Iterable[str], places: Places, problems: Problems, *, prefix: str = ""
) -> None:
    """Report a name that does not exist."""
    options = sorted(known)
    if given in options:
        return
    problems.add(
        places.find(tuple(field.split("."))),
        "is not one of the known names",
        field=f"{prefix}{field}",
        given=given,
        allowed=", ".join(options),
        hint=did_you_mean(str(given), options),
    )


def _check_layers(model: Model, layers: LayerNames | None, places: Places, problems: Problems, prefix: str) -> None:
    """Report frozen layers that the backbone does not have."""
    place = places.find(("model", "freeze"))
    for each in frozen_layer_errors(model, layers) if layers is not None else ():
        problems.add(
            place, each.rule, field=f"{prefix}{each.field}", given=each.given, allowed=each.allowed, hint=each.hint
        )
