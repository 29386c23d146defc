"""User-defined parts in recipes: full names and options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.options import OptionValues
from agrm_study.study.parts.kinds import KINDS
from agrm_study.study.parts.loaded import own_class
from agrm_study.study.parts.names import full_name, is_own, short_name
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.problems import Places, Problems, dotted
from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import replaced, value_of
from agrm_study.study.translate import validated

IN_RECIPE: Final = tuple(kind for kind in KINDS.values() if kind.in_recipe)
"""The kinds of parts that a recipe selects."""


def with_full_names(recipe: Recipe, parts: Iterable[OwnPart]) -> Recipe:
    """The recipe with the full names of user-defined parts; options are unchanged."""
    full = {(part.kind, part.name): full_name(part.name, part.source) for part in parts}
    for kind in IN_RECIPE:
        if (wanted := full.get((kind.name, value_of(recipe, kind.field)))) is not None:
            recipe = replaced(recipe, kind.field, wanted)
    return recipe


def as_trained(recipe: Recipe, parts: Iterable[OwnPart]) -> Recipe:
    """The recipe of a trial, with full names, and with the complete options of exactly the parts that it uses.

    Options of unused parts are dropped. Defaults are read from the JSON Schema of each part, so no user code is
    executed.
    """
    known = {(part.kind, full_name(part.name, part.source)): part for part in parts}
    recipe = with_full_names(recipe, known.values())
    for kind in IN_RECIPE:
        name, given = value_of(recipe, kind.field), value_of(recipe, kind.options)
        part = known.get((kind.name, name))
        wanted = OptionValues()
        if part is not None:
            about = part.schema.get("properties", {})
            wanted = OptionValues({option: given.get(option, of.get("default")) for option, of in about.items()})
        elif is_own(name):
            continue  # a part of a different study, whose options are complete
        if given != wanted:
            recipe = replaced(recipe, kind.options, wanted)
    return recipe


def used_parts(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Kind and full name of each user-defined part that a recipe uses."""
    named = ((kind.name, value_of(recipe, kind.field)) for kind in IN_RECIPE)
    return tuple((kind, name) for kind, name in named if is_own(name))


def check_options(
    recipe: Recipe, parts: Sequence[OwnPart], places: Places, problems: Problems, *, prefix: str = ""
) -> None:
    """Report unknown options, and values that a part does not allow.

    Args:
        recipe: Recipe with names and options as written.
        parts: User-defined parts of the study; their classes are loaded.
        places: Locations of the settings.
        problems: Receives the errors.
        prefix: Prefix of the field for messages.
    """
    for kind in IN_RECIPE:
        given = value_of(recipe, kind.options)
        path = tuple(kind.options.split("."))
        of_kind = {part.name: part for part in parts if part.kind == kind.name}
        known = {option for part in of_kind.values() for option in part.schema.get("properties", {})}
        for option in given:
            if option not in known:
                problems.add(
                    places.find((*path, option)),
                    f"no {kind.name} of this study has such an option",
                    field=f"{prefix}{dotted((*path, option))}",
                    allowed=", ".join(sorted(known)) or None,
                    hint=did_you_mean(option, known),
                )
        part = of_kind.get(short_name(value_of(recipe, kind.field)))
        if part is None:
            continue
        model = own_class(kind.name, full_name(part.name, part.source)).Options
        own = {option: value for option, value in given.items() if option in model.model_fields}
        try:
            validated(model, own, places.inside(path), prefix=f"{prefix}{kind.options}.")
        except InputError as fault:
            problems.extend(fault.singles)
