"""What do a base recipe, a study file and a preset each say about the recipe?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agrm_study.study.errors import did_you_mean
from agrm_study.study.library import find_part, known_parts
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.settings import Setting, read_settings, resolve_path
from agrm_study.study.spec import PresetFile
from agrm_study.study.yaml_lines import LinedDocument, read_yaml


def base_layer(name: str, file: Path, places: Places, problems: Problems) -> list[Setting]:
    """The settings of the base recipe that a study names."""
    found = find_part("base", name, file.parent)
    if found is None:
        known = known_parts("base", file.parent)
        problems.add(
            places.find(("base",)),
            "there is no such base recipe",
            field="base",
            given=name,
            allowed=", ".join(known) + ", or a file",
            hint=did_you_mean(name, known),
        )
        return []
    document = read_yaml(found)
    settings = read_settings(document.value or {}, Places.of(document), problems)
    return [resolve_path(setting, found.parent) for setting in settings]


def preset_layer(
    name: str | None, file: Path, value: dict[str, Any], places: Places, problems: Problems
) -> list[Setting]:
    """What a preset lays over a study's own keys in ``value`` (changed), and its recipe settings."""
    if name is None:
        return []
    found = find_part("presets", name, None if "/" in name else file.parent)
    if found is None:
        known = known_parts("presets", file.parent)
        problems.add(
            Place("--preset"),
            "there is no such preset",
            given=name,
            allowed=", ".join(known) + ", or a file",
            hint=did_you_mean(name, known),
        )
        return []
    return _apply_preset(read_yaml(found), value, places, problems)


def _apply_preset(document: LinedDocument, value: dict[str, Any], places: Places, problems: Problems) -> list[Setting]:
    """Lay a preset over a study's own keys in ``value`` and return its recipe settings."""
    from pydantic import ValidationError

    from agrm_study.study.translate import translate

    own = Places.of(document)
    preset = document.value if document.value is not None else {}
    try:
        PresetFile.model_validate_json(json.dumps(preset), strict=True)
    except ValidationError as fault:
        problems.extend(translate(fault, own, model=PresetFile))
        return []
    for key in ("tasks", "seeds", "split_seed"):
        if key in preset:
            value[key] = preset[key]
            places.note((key,), own.find((key,)))
    for key in ("resources", "search"):
        given_group = value.get(key)
        if given_group is None and key == "resources":
            given_group = {}
        if isinstance(preset.get(key), dict) and isinstance(given_group, dict):  # anything else is refused later
            group = value[key] = dict(given_group)
            for name, item in preset[key].items():
                given = group.get(name)
                group[name] = given | item if isinstance(given, dict) and isinstance(item, dict) else item
                places.note((key, name), own.find((key, name)))
    return recipe_layer(preset, own, problems)


def recipe_layer(value: dict[str, Any], places: Places, problems: Problems) -> list[Setting]:
    """The recipe settings that a study file or preset gives under `data` and `set`."""
    groups = (("data", "data."), ("set", ""))
    found: dict[str, Setting] = {}
    for key, prefix in groups:
        if value.get(key) is None:
            continue
        for setting in read_settings(value[key], places, problems, prefix=prefix, at=(key,)):
            if setting.name in found:
                problems.add(
                    setting.place,
                    f"is given twice, first in line {found[setting.name].place.line}",
                    field=setting.name,
                    hint="Keep one of the two.",
                )
            folder = Path(setting.place.where).parent if isinstance(setting.place.where, Path) else Path.cwd()
            found[setting.name] = resolve_path(setting, folder)
    return list(found.values())
