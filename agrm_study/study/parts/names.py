"""Full names of user-defined parts: the name in the study file and the hash of the source that defines the part.

Two studies may define parts with equal names and different content: their full names differ, and so do the identities
of the trials that use them.
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
        source: Hash of the source that defines the part.
    """
    return f"{name}{MARK}{source}"


def is_own(name: str) -> bool:
    """Whether a name is the full name of a user-defined part."""
    return MARK in name


def short_name(name: str) -> str:
    """The name in the study file, for a built-in or a user-defined part."""
    return name.partition(MARK)[0]


def source_of(name: str) -> str:
    """Hash of the source of a user-defined part, from its full name."""
    return name.partition(MARK)[2]


def valid_name(name: object) -> bool:
    """Whether a name is valid for a part: at most 40 lower-case letters, digits and underscores."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def name_of_class(name: str) -> str:
    """The name of a part that is named after its class, in snake case: ``big_net`` for ``BigNet``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_")
