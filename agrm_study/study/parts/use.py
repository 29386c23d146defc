"""User-defined parts in recipes: full names and options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.options import OptionValues
from agrm_study.study.parts.kinds import KINDS, Kind
from agrm_study.study.parts.loaded import own_class
from agrm_study.study.parts.names import full_name, is_own, short_name
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.problems import Places, Problems, dotted
from agrm_study.study.recipe import Recipe
from agrm_study.study.section import Section
from agrm_study.study.translate import validated


def with_full_names(recipe: Recipe, parts: Iterable[OwnPart]) -> Recipe:
    """The recipe with the full names of user-defined parts; options are unchanged."""
    full = {(part.kind, part.name): full_name(part.name, part.source) for part in parts}
    for kind, groups, leaf, section in _sections(recipe):
        name = getattr(section, leaf)
        if (wanted := full.get((kind.name, name))) is not None:
            recipe = _replaced(recipe, groups, {leaf: wanted})
    return recipe


def as_trained(recipe: Recipe, parts: Iterable[OwnPart]) -> Recipe:
    """The recipe of a trial, with full names, and with the complete options of exactly the parts that it uses.

    Options of unused parts are dropped. Defaults are read from the JSON Schema of each part, so no user code is
    executed.
    """
    known = {(part.kind, full_name(part.name, part.source)): part for part in parts}
    recipe = with_full_names(recipe, known.values())
    for kind, groups, leaf, section in _sections(recipe):
        part = known.get((kind.name, getattr(section, leaf)))
        wanted = OptionValues()
        if part is not None:
            about = part.schema.get("properties", {})
            wanted = OptionValues({name: section.options.get(name, of.get("default")) for name, of in about.items()})
        elif is_own(getattr(section, leaf)):
            continue  # a part of a different study, whose options are complete
        if section.options != wanted:
            recipe = _replaced(recipe, groups, {"options": wanted})
    return recipe


def used_parts(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Kind and full name of each user-defined part that a recipe uses."""
    named = ((kind.name, getattr(section, leaf)) for kind, _, leaf, section in _sections(recipe))
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
        prefix: Prefix of the field in messages.
    """
    for kind, _, leaf, section in _sections(recipe):
        path = tuple(kind.options.split("."))
        of_kind = {part.name: part for part in parts if part.kind == kind.name}
        known = {option for part in of_kind.values() for option in part.schema.get("properties", {})}
        for option in section.options:
            if option not in known:
                problems.add(
                    places.find((*path, option)),
                    f"no {kind.name} of this study has such an option",
                    field=f"{prefix}{dotted((*path, option))}",
                    allowed=", ".join(sorted(known)) or None,
                    hint=did_you_mean(option, known),
                )
        part = of_kind.get(short_name(getattr(section, leaf)))
        if part is None:
            continue
        model = own_class(kind.name, full_name(part.name, part.source)).Options
        own = {option: value for option, value in section.options.items() if option in model.model_fields}
        try:
            validated(model, own, places.inside(path), prefix=f"{prefix}{kind.options}.")
        except InputError as fault:
            problems.extend(fault.problems)


def _sections(recipe: Recipe) -> Iterator[tuple[Kind, list[str], str, Any]]:
    """For each kind of part in a recipe: the groups and the field with its name, and the section itself."""
    for kind in KINDS.values():
        if kind.in_recipe:
            *groups, leaf = kind.field.split(".")
            section: Any = recipe
            for group in groups:
                section = getattr(section, group)
            yield kind, groups, leaf, section


def _replaced(recipe: Recipe, groups: Sequence[str], values: Mapping[str, Any]) -> Recipe:
    def inside(section: Section, path: Sequence[str]) -> Section:
        if not path:
            return section.model_copy(update=dict(values))
        return section.model_copy(update={path[0]: inside(getattr(section, path[0]), path[1:])})

    changed = inside(recipe, groups)
    assert isinstance(changed, Recipe)
    return changed
