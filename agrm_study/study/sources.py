"""Base recipes, presets and command-line options that are merged into a study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agrm_study.study.document import parse_yaml, read_yaml
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.library import known_parts, part_folders
from agrm_study.study.loading import Loading
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.settings import Setting, known_settings, read_settings, resolve_path, suggest_setting
from agrm_study.study.spec import PresetFile, StudyFile
from agrm_study.study.translate import validated

NOT_BY_OPTION = {
    "arms": "Edit the arms in the study file.",
    "grid": "Edit the grid in the study file.",
    "set": "Set the setting itself, e.g. --set ssl.ema.alpha=0.999.",
    "parts": "Edit the parts in the study file.",
    "trainer": "Edit the trainer in the study file.",
    "name": "Use --results to write into a different folder.",
}
"""Keys of a study file that an option cannot change, with hints."""


def _find_part(kind: str, name: str, beside: Path | None, place: Place, problems: Problems) -> Path | None:
    """The file of a base recipe or preset, by its path relative to ``beside`` or by its name; None after reporting that
    it does not exist."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name).expanduser()
        found = [path if beside is None else beside / path]
    else:
        found = [folder / f"{name}.yaml" for folder in part_folders(kind, beside)]
    for path in found:
        if path.is_file():
            return path
    known = known_parts(kind, beside)
    what, field = ("base recipe", "base") if kind == "base" else ("preset", None)
    problems.add(
        place,
        f"there is no such {what}",
        field=field,
        given=name,
        allowed=", ".join(known) + ", or a file",
        hint=did_you_mean(name, known),
    )
    return None


def base_layer(loading: Loading) -> list[Setting]:
    """The settings of the base recipe of a study."""
    name, place = loading.value.get("base", "agrm"), loading.places.find(("base",))
    if not isinstance(name, str):
        return []
    found = _find_part("base", name, loading.folder, place, loading.problems)
    if found is None:
        return []
    document = read_yaml(found)
    settings = read_settings(document.value or {}, Places.of(document), loading.problems)
    return [resolve_path(setting, found.parent) for setting in settings]


def recipe_layer(value: dict[str, Any], places: Places, problems: Problems) -> list[Setting]:
    """The recipe settings under `data` and `set` of a study file or a preset."""
    found: dict[str, Setting] = {}
    for key, prefix in (("data", "data."), ("set", "")):
        if value.get(key) is None:
            continue
        for setting in read_settings(value[key], places, problems, prefix=prefix, at=(key,)):
            if setting.name in found:
                problems.given_twice(setting.name, setting.place, found[setting.name].place)
            folder = Path(setting.place.where).parent if isinstance(setting.place.where, Path) else Path.cwd()
            found[setting.name] = resolve_path(setting, folder)
    return list(found.values())


def preset_layer(name: str | None, loading: Loading) -> list[Setting]:
    """Apply a preset to the keys of a study, and return its recipe settings."""
    if name is None:
        return []
    beside = None if "/" in name else loading.folder
    found = _find_part("presets", name, beside, Place("--preset"), loading.problems)
    if found is None:
        return []
    document = read_yaml(found)
    preset, own = document.value if document.value is not None else {}, Places.of(document)
    try:
        validated(PresetFile, preset, own)
    except InputError as fault:
        loading.problems.extend(fault.singles)
        return []
    for key in ("tasks", "seeds", "split_seed"):
        if key in preset:
            _assign(loading, (key,), preset[key], own.find((key,)))
    for key in ("resources", "search", "tune"):
        before = loading.value.get(key, {} if key == "resources" else None)
        if isinstance(before, dict):  # otherwise there is nothing to update, or the value is invalid and rejected later
            for part, item in (preset.get(key) or {}).items():
                given = before.get(part)
                merged = given | item if isinstance(given, dict) and isinstance(item, dict) else item
                _assign(loading, (key, part), merged, own.find((key, part)))
    return recipe_layer(preset, own, loading.problems)


def option_layer(options: Sequence[str], loading: Loading) -> list[Setting]:
    """Apply ``KEY=VALUE`` options to the keys of a study, and return the recipe settings among them.

    Later options take precedence.

    Raises:
        InputError: If an option has no ``=``, an empty key, or a value that is not YAML.
    """
    settings: dict[str, Setting] = {}
    for key, value, place in map(_parse, options):
        head, *rest = key.split(".")
        if head in NOT_BY_OPTION:
            loading.problems.add(place, "cannot be changed by --set", field=key, hint=NOT_BY_OPTION[head])
        elif head in StudyFile.model_fields and head != "data":
            if head in ("search", "tune") and rest and loading.value.get(head) is None:
                loading.problems.add(place, f"this study has no {head}", field=key)
            else:
                _assign(loading, (head, *rest), value, place)
        else:
            own = Problems()
            found = read_settings({key: value}, Places(place), own)
            if own and not rest and head not in ("task", "seed"):
                hint = did_you_mean(key, (*StudyFile.model_fields, *known_settings())) or suggest_setting(key)
                loading.problems.add(place, "there is no such setting", field=key, hint=hint)
            else:
                loading.problems.absorb(own)
            settings.update({setting.name: resolve_path(setting, Path.cwd()) for setting in found})
    return list(settings.values())


def _parse(text: str) -> tuple[str, Any, Place]:
    """Key, value and location of an option; values are read as in a study file (``1e-4``, ``[0, 1]``, ``null``)."""
    key, separator, value = text.partition("=")
    place = Place(f"--set {text}")
    if not separator or not key.strip():
        raise InputError("must have the form KEY=VALUE", where=place.where, allowed="e.g. --set ssl.ema.alpha=0.999")
    try:
        return key.strip(), parse_yaml(value).value, place
    except InputError as problem:
        rule = problem.rule.replace("the file", "the value")
        raise InputError(rule, where=place.where, field=key.strip(), given=value, hint="Quote the value.") from None


def _assign(loading: Loading, path: tuple[str, ...], value: Any, place: Place) -> None:
    """Replace one value of the study without modifying content shared with other documents."""
    group = loading.value
    for part in path[:-1]:
        inner = group.get(part)
        group[part] = group = dict(inner) if isinstance(inner, dict) else {}
    group[path[-1]] = value
    loading.places.note(path, place)
