"""Which class does a name in a recipe stand for? (Names are checked without importing torch.)"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean


def target(table: Mapping[str, str], name: str, *, kind: str, field: str) -> str:
    """The `module:Class` that a seam's table holds for a name.

    Args:
        table: A seam's dictionary, name → `module:Class`.
        name: The name to look up.
        kind: What the names are, in the plural ("backbones").
        field: Dotted name of the setting that holds the name.

    Raises:
        InputError: The table has no such name.
    """
    if name not in table:
        raise InputError(
            f"must be one of the known {kind}",
            field=field,
            given=name,
            allowed=", ".join(table),
            hint=did_you_mean(name, table),
        )
    return table[name]


def resolve(table: Mapping[str, str], name: str, *, kind: str, field: str) -> Any:
    """The class itself; its module is imported now and not before.

    Raises:
        InputError: The table has no such name.
    """
    module, _, attribute = target(table, name, kind=kind, field=field).partition(":")
    return getattr(import_module(module), attribute)
