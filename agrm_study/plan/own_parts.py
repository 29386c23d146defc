"""Loading of user-defined parts, which are read, executed once, and described for code that does not execute them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from agrm_study.plan.part_files import read_source
from agrm_study.study.errors import InputError
from agrm_study.study.parts.kinds import KINDS
from agrm_study.study.parts.loaded import load_source
from agrm_study.study.parts.source import OwnPart, OwnParts, PartSource
from agrm_study.study.problems import Place

GROUP = "agrm_study.parts"
"""Entry-point group of installed packages; the values are modules with parts."""


def own_parts(entries: Sequence[tuple[str, Place]], folder: Path, shipped: Mapping[str, Iterable[str]]) -> OwnParts:
    """Load the parts of the entries under `parts:` and of installed packages; their code is executed.

    Args:
        entries: Entries of the study file, each with its location.
        folder: Base folder for relative paths.
        shipped: Names of built-in parts, by the dotted field that accepts them.

    Raises:
        InputError: If an entry cannot be read or executed, or two parts share a name.
    """
    installed = [(point.value, Place(f"entry point {point.name}")) for point in entry_points(group=GROUP)]
    sources: dict[str, PartSource] = {}
    parts: dict[tuple[str, str], OwnPart] = {}
    for written, place in [*entries, *installed]:
        source = read_source(written, folder, place)
        if source.digest in sources:
            continue
        sources[source.digest] = source
        for (kind, name), part in load_source(source).items():
            if name in shipped.get(KINDS[kind].field, ()):
                raise InputError(
                    f"is the name of a built-in {kind}", where=place.where, line=place.line, field="parts", given=name,
                    hint=f"Choose a different name in {written}.",
                )  # fmt: skip
            if (kind, name) in parts:
                other = parts[kind, name].written
                raise InputError(
                    f"{other} and {written} define a {kind} with the same name", where=place.where, line=place.line,
                    field="parts", given=name,
                )  # fmt: skip
            parts[kind, name] = OwnPart(
                kind=kind, name=name, source=source.digest, written=written, schema=_schema(part, kind, name, written)
            )
    return OwnParts(tuple(parts.values()), tuple(sources.values()))


def _schema(part: Any, kind: str, name: str, written: str) -> dict[str, Any]:
    """JSON Schema of a part's options; empty for a part without options.

    Raises:
        InputError: If the kind has no options, or an option has no default.
    """
    options = getattr(part, "Options", None)
    if options is None or not hasattr(options, "model_fields") or not options.model_fields:
        return {}
    if not KINDS[kind].options:
        raise InputError(f"a {kind} has no options", where=written, field=name)
    schema: dict[str, Any] = options.model_json_schema()
    if missing := [option for option, info in options.model_fields.items() if info.is_required()]:
        raise InputError("an option requires a default", where=written, field=name, given=", ".join(missing))
    return schema
