"""Settings of a recipe by dotted name, and reading of groups of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from agrm_study.study.document import KeyPath
from agrm_study.study.errors import did_you_mean
from agrm_study.study.options import OptionValues
from agrm_study.study.parts.kinds import KINDS
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.study.section import Section

S = TypeVar("S", bound=Section)

PATH_SETTINGS = ("data.manifest", "data.split_file", "model.weights")
"""Settings whose value is a file; relative paths are resolved against the folder of the file with the setting."""

OPTION_GROUPS = tuple(kind.options for kind in KINDS.values() if kind.options)
"""Settings that contain the options of user-defined parts."""

MEMORIES = {"ssl.ema.memory_epochs": "ssl.ema.alpha", "ssl.threshold.memory_epochs": "ssl.threshold.momentum"}
"""Settings that specify the memory of a moving average in epochs, each with the setting that it replaces."""

SET_BY_THE_STUDY = {
    "task": "List the tasks under `tasks`, e.g. `tasks: [two_class, three_class]`, or define your own there.",
    "seed": "List the seeds under `seeds`, e.g. `seeds: [0, 1, 2, 3, 4]`.",
    "split_seed": "Set the seed of the split with `split_seed: 0` next to `seeds`.",
}
"""Fields of a recipe that are set by separate keys of a study, with hints."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that was specified: its dotted name, plain value and location."""

    name: str
    value: Any
    place: Place


def _section_of(annotation: Any) -> tuple[type[Section] | None, bool]:
    """The section type in the annotation of a field, if any, and whether the field may be null."""
    if get_origin(annotation) in (Union, UnionType):
        parts = get_args(annotation)
        sections = [part for part in parts if isinstance(part, type) and issubclass(part, Section)]
        return (sections[0] if sections else None), NoneType in parts
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    return None, False


@cache
def _annotations() -> Mapping[str, Any]:
    """Types of all fields of a recipe by dotted name, including sections."""

    def walk(section: type[Section], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, info in section.model_fields.items():
            yield f"{prefix}{name}", info.annotation
            inner, _ = _section_of(info.annotation)
            if inner is not None:
                yield from walk(inner, f"{prefix}{name}.")

    return dict(walk(Recipe, ""))


@cache
def known_settings() -> tuple[str, ...]:
    """Dotted names of all settings that a study may set, excluding sections."""
    plain = (name for name, annotation in _annotations().items() if _section_of(annotation)[0] is None)
    return tuple(name for name in plain if name not in SET_BY_THE_STUDY)


def default_of(name: str) -> Any:
    """Default of a setting as a plain JSON value (None if its optional section is absent)."""
    value: Any = _default_settings()
    for part in name.split("."):
        value = None if value is None else value[part]
    return value


def choices_of(name: str) -> list[str]:
    """The valid values of a categorical setting; empty for numbers and free text."""
    annotation = _annotations()[name]
    if annotation is bool:
        return ["true", "false"]
    return [str(value) for value in get_args(annotation)] if get_origin(annotation) is Literal else []


@cache
def _default_settings() -> dict[str, Any]:
    return Recipe().settings()


def value_of(recipe: Recipe, name: str) -> Any:
    """Value of a setting of a recipe by dotted name, as a Python object."""
    value: Any = recipe
    for part in name.split("."):
        value = value.get(part) if isinstance(value, OptionValues) else None if value is None else getattr(value, part)
    return value


def replaced(section: S, name: str, value: Any) -> S:
    """A copy of a recipe, or of a section, with one value replaced by dotted name, without validation."""
    head, _, rest = name.partition(".")
    return section.model_copy(update={head: replaced(getattr(section, head), rest, value) if rest else value})


def option_group(name: str) -> str | None:
    """The group of an option (``model.options`` for ``model.options.blocks``); None if the name is not an option.

    The available options depend on the user-defined parts of the study.
    """
    group, _, option = name.rpartition(".")
    return group if option and group in OPTION_GROUPS else None


def read_settings(
    group: Any, places: Places, problems: Problems, *, prefix: str = "", at: KeyPath = ()
) -> list[Setting]:
    """The settings in a group; names may be dotted (``ssl.ema.alpha: 0.9``), nested, or both.

    Args:
        group: Content of the group.
        places: Locations of its values, by path from ``group``.
        problems: Receives errors: unknown names, duplicate names, and values where a group is required.
        prefix: Dotted name of the group itself, with a trailing dot (``data.``), or empty.
        at: Path of ``group`` in ``places``.
    """
    found: dict[str, Setting] = {}
    _walk(group, places, problems, prefix, at, found)
    return list(found.values())


def _walk(group: Any, places: Places, problems: Problems, prefix: str, at: KeyPath, found: dict[str, Setting]) -> None:
    if not isinstance(group, Mapping):
        problems.add(
            places.find(at), "must be a group of settings, each `name: value`", field=prefix[:-1] or None, given=group
        )
        return
    for key, value in group.items():
        path = (*at, key)
        place, name = places.find(path), f"{prefix}{key}"
        section, optional = _section_of(_annotations().get(name))
        if section is not None and not (value is None and optional):
            _walk(value, places, problems, f"{name}.", path, found)
        elif section is None and (broken := refusal(name)) is not None:
            problems.add(place, broken[0], field=name, hint=broken[1])
        elif name in found:
            problems.given_twice(name, place, found[name].place)
        elif _has_interpolation(value):
            problems.add(
                place, "`${…}` interpolation is not supported", field=name, given=value, hint="Write the value itself."
            )
        else:
            found[name] = Setting(name, value, place)


def refusal(name: str) -> tuple[str, str] | None:
    """The violated rule and a hint if a dotted name cannot be varied or set by an arm; otherwise None."""
    if name in known_settings() or option_group(name) is not None:
        return None
    if name in SET_BY_THE_STUDY:
        return "is not a setting of an arm or a recipe", SET_BY_THE_STUDY[name]
    section, _ = _section_of(_annotations().get(name))
    if section is not None:
        return (
            "is a group of settings, not a single setting",
            f"Use one of its settings: {', '.join(f'{name}.{key}' for key in section.model_fields)}.",
        )
    return "there is no such setting", suggest_setting(name)


def suggest_setting(name: str) -> str:
    """A hint for an unknown setting: the most similar name, or the command that lists all names."""
    known = known_settings()
    leaf = name.rsplit(".", 1)[-1]
    same_leaf = [other for other in known if other.rsplit(".", 1)[-1] == leaf]
    if len(same_leaf) == 1:
        return f"Did you mean `{same_leaf[0]}`?"
    sections = {other.rsplit(".", 1)[0] for other in known if "." in other}
    hint = did_you_mean(name, (*known, *sections))
    if hint is None:
        by_leaf = {other.rsplit(".", 1)[-1]: other for other in known}
        hint = did_you_mean(leaf, by_leaf, by_leaf)
    return hint or "`agrm-study schema` lists all settings."


def _has_interpolation(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_has_interpolation, value))
    if isinstance(value, Mapping):
        return any(map(_has_interpolation, value.values()))
    return isinstance(value, str) and "${" in value


def resolve_path(setting: Setting, folder: Path) -> Setting:
    """The setting with a relative file name resolved against ``folder``; other settings are returned unchanged."""
    if setting.name not in PATH_SETTINGS or not isinstance(setting.value, str):
        return setting
    path = Path(setting.value).expanduser()
    return Setting(setting.name, str((folder / path).resolve()), setting.place)
