"""Parts of the pages that are generated from the code; each function returns Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args, get_origin

import click

from agrm_study.api.names import known_names
from agrm_study.cli.app import app
from agrm_study.report.figures import FIGURES, figure_kind
from agrm_study.report.tables import TABLES, table_kind
from agrm_study.study.recipe import Recipe
from agrm_study.study.schema import study_schema
from agrm_study.study.section import Section
from agrm_study.study.settings import default_of, known_settings
from agrm_study.study.spec import StudyFile


def commands() -> str:
    """Every command: purpose, usage, options."""
    return "\n\n".join(_command(names, command) for names, command in verbs(app, ()))


def verbs(group: click.Group, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands of a group and its subgroups, each with its full name."""
    for name, command in sorted(group.commands.items()):
        names = (*above, name)
        if isinstance(command, click.Group):
            yield from verbs(command, names)
        else:
            yield names, command


def _command(names: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=" ".join(("agrm-study", *names)))
    usage = command.get_usage(context).removeprefix("Usage: ").replace("\n", " ")
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    parts = [f"## {' '.join(names)}", f"```text\n{' '.join(usage.split())}\n```", _sentences(command.help or "")]
    if records:
        rows = [(f"`{option}`", _sentences(text)) for option, text in records]
        parts.append(_table(("option", "description"), rows))
    return "\n\n".join(parts)


def _sentences(text: str) -> str:
    """Help text with each paragraph on one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def study_keys() -> str:
    """Every key of a study file, in one table per group of keys."""
    parts = []
    for path, model in sections_of(StudyFile):
        schema = model.model_json_schema(by_alias=True)
        definitions, rows = schema.get("$defs", {}), []
        for name, info in model.model_fields.items():
            key = info.alias or name
            property_ = _schema()["properties"].get(key) if model is StudyFile else schema["properties"][key]
            default = "required" if info.is_required() else _default(info.get_default(call_default_factory=True))
            rows.append((f"`{key}`", allowed(property_, definitions), default, info.description or ""))
        title = f"### `{path}`" if path else "### The file"
        parts.append(f"{title}\n\n{_table(('key', 'allowed values', 'default', 'meaning'), rows)}")
    return "\n\n".join(parts)


def sections_of(model: type[Section], path: str = "") -> Iterator[tuple[str, type[Section]]]:
    """A group of keys and all nested groups, each with its dotted path in the file."""
    yield path, model
    for name, info in model.model_fields.items():
        for wrapped, inner in _inner(info.annotation):
            if inner.__name__ != "Condition":  # written as `earlier factor: value`, not as a group of keys
                place = f"{path}.{info.alias or name}" if path else info.alias or name
                wrapped = ".NAME" if place == "tasks" else wrapped
                yield from sections_of(inner, f"{place}{wrapped}")


def _inner(annotation: Any) -> Iterator[tuple[str, type[Section]]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield "", annotation
        return
    wrapped = {tuple: "[]", dict: ".SETTING"}.get(get_origin(annotation), "")
    for part in get_args(annotation):
        for deeper, section in _inner(part):
            yield wrapped + deeper, section


def settings() -> str:
    """Every setting of a recipe with its default, in one table per section."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for name in known_settings():
        section, _, leaf = name.rpartition(".")
        node, info = _schema()["$defs"]["Settings"]["properties"][name], _field(name)
        row = (f"`{leaf}`", allowed(node, _schema()["$defs"]), _setting_default(name, info), info.description or "")
        groups.setdefault(section, []).append(row)
    head = ("setting", "allowed values", "default", "meaning")
    return "\n\n".join(
        f"### {f'`{section}.*`' if section else 'Top-level settings'}\n\n{_table(head, rows)}"
        for section, rows in groups.items()
    )


def _setting_default(name: str, info: Any) -> str:
    """Default of a setting; in a section that is absent by default, the default if the section is present."""
    value = default_of(name)
    return _default(info.get_default() if value is None else value)


def _field(name: str) -> Any:
    """The pydantic field of a setting."""
    model: Any = Recipe
    *sections, leaf = name.split(".")
    for section in sections:
        model = next(inner for _, inner in _inner(model.model_fields[section].annotation))
    return model.model_fields[leaf]


@cache
def _schema() -> dict[str, Any]:
    return study_schema(known_names())


def allowed(node: Mapping[str, Any] | None, definitions: Mapping[str, Any]) -> str:
    """Description of the values that a JSON schema allows."""
    if node is None:
        return ""
    if "$ref" in node:
        return "a group of keys"
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(text for part in node["anyOf"] if (text := allowed(part, definitions))))
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    match node.get("type"):
        case "integer" | "number":
            return _number(node)
        case "boolean":
            return "`true`, `false`"
        case "null":
            return "`null`"
        case "string":
            return "file" if node.get("format") == "path" else "text"
        case "array" if "prefixItems" in node:
            return f"[{'; '.join(allowed(part, definitions) for part in node['prefixItems'])}]"
        case "array":
            inner = allowed(node.get("items"), definitions)
            return f"list of {inner}" if inner else "list"
        case "object":
            return "a group of keys"
    return ""


def _number(node: Mapping[str, Any]) -> str:
    kind = "whole number" if node["type"] == "integer" else "number"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    if "minimum" in node and "maximum" in node:
        return f"{kind} from {node['minimum']:g} to {node['maximum']:g}"
    limits = [f"{sign} {node[key]:g}" for key, sign in bounds.items() if key in node]
    return f"{kind} {', '.join(limits)}".strip()


def _default(value: Any) -> str:
    """A default as written in a study file."""
    if isinstance(value, Section):
        return "see below"
    if value is None or value in ({}, (), [], ""):
        return "–"
    if isinstance(value, str):
        return f"`{value}`"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def tables() -> str:
    """Every kind of table and the question it answers."""
    return _table(("name", "question"), [(f"`{name}`", table_kind(name).question) for name in TABLES])


def figures() -> str:
    """Every kind of figure, the question it answers and its requirements."""
    kinds = [(f"[`{name}`](#{name.replace('_', '-')})", figure_kind(name)) for name in FIGURES]
    return _table(("name", "question", "needs"), [(link, kind.question, kind.needs) for link, kind in kinds])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "study_keys": study_keys,
    "settings": settings,
    "tables": tables,
    "figures": figures,
}
"""Functions that generate the content of a line `<!-- generated: NAME -->` in a page."""
