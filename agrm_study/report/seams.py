"""How is a member of a seam found by its name, without importing the others?"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def load(known: Mapping[str, str], name: str) -> Any:
    """The class that ``module:Class`` names, made into a value.

    Raises:
        KeyError: When the seam has no such member.
    """
    module, _, kind = known[name].partition(":")
    return getattr(import_module(module), kind)()
