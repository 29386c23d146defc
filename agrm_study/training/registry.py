"""Lookup of registered classes by name; names are checked without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean


def target(table: Mapping[str, str], name: str, *, kind: str, field: str) -> str:
    """The `module:Class` registered under a name.

    Args:
        table: Registry of an extension point, name → `module:Class`.
        name: The name to look up.
        kind: Plural noun for the entries, used in messages ("backbones").
        field: Dotted name of the setting that contains the name.

    Raises:
        InputError: The name is unknown; the message lists the known names.
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
    """The class registered under a name; imports its module. Arguments as in `target`.

    Raises:
        InputError: The name is unknown; the message lists the known names.
    """
    module, _, attribute = target(table, name, kind=kind, field=field).partition(":")
    return getattr(import_module(module), attribute)
