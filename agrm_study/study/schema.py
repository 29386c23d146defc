"""JSON Schema of study files, for completion and validation in editors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from agrm_study.study.own_trainer import PREFIX, is_shared
from agrm_study.study.parts.kinds import KINDS
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import SET_BY_THE_STUDY, known_settings
from agrm_study.study.spec import StudyFile
from agrm_study.study.task_entries import NAME_PATTERN
from agrm_study.study.tasks import BUILT_IN


def study_schema(
    names: Mapping[str, Collection[str]] = MappingProxyType({}),
    parts: Sequence[OwnPart] = (),
    trainer: OwnPart | None = None,
) -> dict[str, Any]:
    """JSON Schema (2020-12) of a study file; settings may be given by dotted name or nested.

    Args:
        names: Valid names by dotted field (`model.backbone`, `report.tables`, …), provided by the caller.
        parts: User-defined parts of the study, whose options are included.
        trainer: User-defined trainer of the study, whose settings are included instead of the recipe's settings.
    """
    schema = StudyFile.model_json_schema(by_alias=True)
    recipe = Recipe.model_json_schema(by_alias=True)
    definitions: dict[str, Any] = {**schema.pop("$defs", {}), **recipe.pop("$defs", {})}
    for field, known in names.items():
        root = schema if field.partition(".")[0] in schema["properties"] else recipe
        node = _property(field, root, definitions)
        node.get("items", node)["enum"] = list(known)
    options = _options(parts, recipe, definitions)
    settings_known = [*known_settings(), *options]
    nested = {name: part for name, part in recipe["properties"].items() if name not in SET_BY_THE_STUDY}
    by_name = {name: _property(name, recipe, definitions) for name in known_settings()}
    sections = dict.fromkeys(name.rpartition(".")[0] for name in known_settings())
    by_section = {name: _property(name, recipe, definitions) for name in sections if "." in name}
    offered = {**nested, **by_section, **by_name, **options}
    if trainer is not None:
        own = {name: options[f"{PREFIX}{name}"] for name in trainer.schema.get("properties", {})}
        shared = {name: of for name, of in by_name.items() if is_shared(name)}
        offered = own | shared | {"data": {"type": "object"}}
        settings_known = [*own, *shared]
    definitions["Settings"] = {
        "type": "object",
        "description": "Settings of a recipe, by dotted name or nested.",
        "properties": offered,
        "additionalProperties": not nested,
    }
    settings = {"$ref": "#/$defs/Settings"}
    properties = schema["properties"]
    properties["set"] = {"anyOf": [settings, {"type": "null"}], "description": properties["set"].get("description", "")}
    properties["data"] = {**nested["data"], "description": properties["data"].get("description", "")}
    definitions["ArmEntry"]["properties"]["set"] = settings
    properties["tasks"] = {
        "anyOf": [
            {"type": "array", "items": {"enum": list(BUILT_IN)}, "minItems": 1, "uniqueItems": True},
            {
                "type": "object",
                "propertyNames": {"pattern": NAME_PATTERN},
                "additionalProperties": {"anyOf": [{"$ref": "#/$defs/TaskEntry"}, {"type": "null"}]},
                "minProperties": 1,
            },
        ],
        "description": properties["tasks"].get("description", ""),
    }
    properties["grid"]["anyOf"][0]["additionalProperties"] = {
        "anyOf": [{"type": "array", "minItems": 1}, {"$ref": "#/$defs/Factor"}]  # the short form, a list of values
    }
    properties["grid"]["propertyNames"] = {"enum": settings_known}
    for sampled in ("Search", "Tune", "ArmTune"):
        definitions[sampled]["properties"]["space"]["propertyNames"] = {"enum": settings_known}
    schema["oneOf"] = [
        {"required": [way], "properties": {way: {"not": {"type": "null"}}}} for way in ("arms", "grid", "search")
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "agrm-study study file",
        **_untitled(schema),
        "$defs": definitions,
    }


def _options(
    parts: Sequence[OwnPart], recipe: dict[str, Any], definitions: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Options of user-defined parts by dotted name, which are also inserted into the sections that contain them."""
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS.values():
        if not kind.options:
            continue
        own: dict[str, Any] = {}
        for part in parts:
            if part.kind == kind.name:
                definitions |= {f"{part.name}.{name}": of for name, of in part.schema.get("$defs", {}).items()}
                own |= {name: _named(of, part.name) for name, of in part.schema.get("properties", {}).items()}
        node = _property(kind.options, recipe, definitions)
        node.pop("additionalProperties", None)
        node |= {"type": "object", "properties": own, "additionalProperties": False}
        found |= {f"{kind.options}.{name}": of for name, of in own.items()}
    return found


def _named(node: Any, part: str) -> Any:
    """The schema of a part, with the name of the part in references to definitions."""
    if isinstance(node, dict):
        return {
            key: value.replace("#/$defs/", f"#/$defs/{part}.") if key == "$ref" else _named(value, part)
            for key, value in node.items()
        }
    return [_named(item, part) for item in node] if isinstance(node, list) else node


def _property(name: str, root: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field in an object schema, by dotted name."""
    node: dict[str, Any] = root
    for part in name.split("."):
        node = _resolved(node, definitions)["properties"][part]
    return node


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The object schema to which a property refers, including optional sections."""
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            found: dict[str, Any] = definitions[option["$ref"].rsplit("/", 1)[-1]]
            return found
    return node


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in ("title", "description", "$schema")}
