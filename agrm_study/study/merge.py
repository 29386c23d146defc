"""Merging of settings into a validated recipe."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from agrm_study.study.errors import did_you_mean
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.parts.use import check_options, with_full_names
from agrm_study.study.problems import Names, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import Setting, known_settings, value_of
from agrm_study.study.translate import translate

Tree = dict[str, Any]
"""Nested plain values of a recipe, as in its JSON."""


def with_settings(tree: Tree, settings: Iterable[Setting]) -> Tree:
    """A copy of merged settings with some replaced; a later one wins, lists are replaced as a whole."""
    result = copy.deepcopy(tree)
    for setting in settings:
        *sections, leaf = setting.name.split(".")
        group = result
        for section in sections:
            inner = group.get(section)
            group[section] = group = inner if isinstance(inner, dict) else {}
        group[leaf] = copy.deepcopy(setting.value)
    return result


def build_recipe(
    tree: Tree, places: Places, problems: Problems, names: Names, *, prefix: str = "", parts: Sequence[OwnPart] = ()
) -> Recipe | None:
    """The validated recipe, or None after noting errors.

    Args:
        tree: Merged settings.
        places: Place of each setting.
        problems: Collects the errors.
        names: Existing names by dotted field; fields without an entry are not checked.
        prefix: Prefix of the field in messages (``arm `w/o MTM` ``).
        parts: The study's own parts; the recipe has their full names.
    """
    try:
        # JSON mode: lists become tuples and text paths, but nothing else is converted (no "5" for 5, no true for 1).
        recipe = Recipe.model_validate_json(json.dumps(tree), strict=True)
    except ValidationError as fault:
        problems.extend(translate(fault, places, model=Recipe, prefix=prefix))
        return None
    before = len(problems)
    for field, known in names.items():
        check_name(
            field, value_of(recipe, field) if _is_setting(field) else None, known, places, problems, prefix=prefix
        )
    check_options(recipe, parts, places, problems, prefix=prefix)
    _check_together(recipe, places, problems, prefix)
    return with_full_names(recipe, parts) if len(problems) == before else None


def check_name(
    field: str, given: object, known: Iterable[str], places: Places, problems: Problems, *, prefix: str = ""
) -> None:
    """Note a name that does not exist; None is ignored."""
    options = sorted(known)
    if given is None or given in options:
        return
    problems.add(
        places.find(tuple(field.split("."))),
        "is not one of the names that exist",
        field=f"{prefix}{field}",
        given=given,
        allowed=", ".join(options),
        hint=did_you_mean(str(given), options),
    )


def _is_setting(field: str) -> bool:
    return field.split(".", 1)[0] in Recipe.model_fields


def _check_together(recipe: Recipe, places: Places, problems: Problems, prefix: str) -> None:
    """Rules that tie several settings together."""

    def note(rule: str, *names: str, **more: Any) -> None:
        place = places.latest(tuple(name.split(".")) for name in names)
        problems.add(place, rule, field=f"{prefix}{names[0]}", **more)

    data, ssl = recipe.data, recipe.ssl
    if data.manifest is not None and data.synthetic is not None:
        note("data names both a manifest and a synthetic set", "data.manifest", *_inside("data.synthetic"),
             hint="Set the one that is not meant to null.")  # fmt: skip
    elif data.manifest is None and data.synthetic is None:
        note("names no data", "data", "data.manifest", allowed="data.manifest or data.synthetic",
             hint="Give the manifest that `agrm-study data index` wrote: --set data.manifest=FILE.")  # fmt: skip
    if recipe.uses_unlabelled:
        needs = f"must be at least 1: the method {ssl.method} learns from unlabelled clips"
        if data.unlabelled_train == 0:
            note(needs, "data.unlabelled_train", "ssl.method", given=0, hint="Or set ssl.method to supervised.")
        if data.synthetic is not None and data.synthetic.unlabelled == 0:
            note(needs, "data.synthetic.unlabelled", "ssl.method", given=0, hint="Or set ssl.method to supervised.")
        if ssl.pretrain_epochs >= recipe.epochs:
            rule = f"must be less than epochs ({recipe.epochs}), or the unlabelled clips are never used"
            note(rule, "ssl.pretrain_epochs", "epochs", "ssl.method", given=ssl.pretrain_epochs)
    low, high = recipe.augment.strong.erase_area
    if low > high:
        note("must be [smallest, largest]", "augment.strong.erase_area", given=[low, high])
    if recipe.batch.accumulate > recipe.batch.labelled:
        rule = f"must be at most batch.labelled ({recipe.batch.labelled})"
        note(rule, "batch.accumulate", "batch.labelled", given=recipe.batch.accumulate)


def _inside(section: str) -> tuple[str, ...]:
    """Dotted names of a section and of all its settings."""
    return (section, *(name for name in known_settings() if name.startswith(f"{section}.")))
