"""Full names of a study's own parts: the name in the study file and the hash of the source that defines it.

Two studies may have parts with equal names and different content: their full names differ, and so do the identities of
the trials that use them.
"""

from __future__ import annotations

import re
from typing import Final

MARK: Final = "@"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def full_name(name: str, source: str) -> str:
    """The full name of a part.

    Args:
        name: Name in the study file.
        source: Hash of the source.
    """
    return f"{name}{MARK}{source}"


def is_own(name: str) -> bool:
    """Whether this is the full name of a study's own part."""
    return MARK in name


def short_name(name: str) -> str:
    """The name in the study file, of a shipped part or of the study's own."""
    return name.partition(MARK)[0]


def source_of(name: str) -> str:
    """Hash of the source of a study's own part."""
    return name.partition(MARK)[2]


def valid_name(name: object) -> bool:
    """Whether the name is valid for a part: lower-case letters, digits and underscores, at most 40."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def name_of_class(name: str) -> str:
    """The name of a part that is named after its class, as lower-case words: ``big_net`` of ``BigNet``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
