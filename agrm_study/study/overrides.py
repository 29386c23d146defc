"""What does ``--set KEY=VALUE`` change, and what does a preset lay over a study?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.settings import Setting, known_settings, read_settings, resolve_path, suggest_setting
from agrm_study.study.spec import StudyFile
from agrm_study.study.yaml_lines import parse_yaml

NOT_BY_OPTION = {
    "arms": "Edit the study file: its arms are its question.",
    "grid": "Edit the study file: its grid is its question.",
    "set": "Give the setting itself, e.g. --set ssl.ema.alpha=0.999.",
    "name": "Use --results to write into another folder.",
}
"""Keys of a study file that an option cannot change."""


@dataclass(frozen=True, slots=True)
class Override:
    """One ``KEY=VALUE``, parsed."""

    key: str
    value: Any
    place: Place


def parse_override(text: str) -> Override:
    """Parse ``KEY=VALUE``; the value is read as in a study file (``1e-4``, ``[0, 1]``, ``null``, text).

    Raises:
        InputError: Without ``=``, with an empty key, or with a value that is no YAML.
    """
    key, separator, value = text.partition("=")
    place = Place(f"--set {text}")
    if not separator or not key.strip():
        raise InputError("must have the form KEY=VALUE", where=place.where, allowed="e.g. --set ssl.ema.alpha=0.999")
    try:
        document = parse_yaml(value)
    except InputError as problem:
        rule = problem.rule.replace("the file", "the value")
        raise InputError(rule, where=place.where, field=key.strip(), given=value, hint="Quote the value.") from None
    return Override(key.strip(), document.value, place)


def apply_overrides(
    overrides: Sequence[Override], value: dict[str, Any], places: Places, problems: Problems
) -> list[Setting]:
    """Change a study's own keys in ``value`` and return the recipe settings among the overrides.

    Args:
        overrides: In the order of the command line; a later one wins.
        value: The study's plain values; changed.
        places: Where they stand; changed.
        problems: Takes keys that do not exist or cannot be changed.
    """
    settings: dict[str, Setting] = {}
    for override in overrides:
        head, *rest = override.key.split(".")
        if head in NOT_BY_OPTION:
            problems.add(override.place, "cannot be changed by --set", field=override.key, hint=NOT_BY_OPTION[head])
        elif head in StudyFile.model_fields and head != "data":
            _assign(value, [head, *rest], override, places, problems)
        else:
            own = Problems()
            found = read_settings({override.key: override.value}, Places(override.place), own)
            if own and "." not in override.key and head not in ("task", "seed"):
                known = (*StudyFile.model_fields, *known_settings())
                problems.add(
                    override.place,
                    "there is no such setting",
                    field=override.key,
                    hint=did_you_mean(override.key, known) or suggest_setting(override.key),
                )
            else:
                problems.absorb(own)
            settings.update({setting.name: resolve_path(setting, Path.cwd()) for setting in found})
    return list(settings.values())


def _assign(value: dict[str, Any], parts: list[str], override: Override, places: Places, problems: Problems) -> None:
    group = value
    for depth, part in enumerate(parts[:-1], start=1):
        if group.get(part) is None and depth == 1 and part == "search":
            problems.add(override.place, "this study has no search", field=override.key)
            return
        inner = group.get(part)
        group[part] = group = dict(inner) if isinstance(inner, dict) else {}
    group[parts[-1]] = override.value
    places.note(tuple(parts), override.place)
