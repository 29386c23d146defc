"""Canonical JSON, in which equal values have equal text, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON in which equal values have equal text: keys sorted, no spaces, 1.0 as 1, -0.0 as 0, floats in their shortest
    repr.

    Raises:
        ValueError: If a value is NaN or infinite.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def member(name: str, value: Any) -> str:
    """One member ``"name":value`` of a canonical JSON object.

    Raises:
        ValueError: If a value is NaN or infinite.
    """
    return f"{json.dumps(name)}:{canonical_json(value)}"


scalar_member = lru_cache(maxsize=4096, typed=True)(member)
"""Cached `member` for frequent values: strings, numbers, and tuples of them."""


def canonical_object(members: Mapping[str, str]) -> str:
    """A canonical JSON object assembled from serialised members; equals `canonical_json` of the whole object.

    Args:
        members: Results of `member`, by name.
    """
    return "{" + ",".join([members[name] for name in sorted(members)]) + "}"


def digest(text: str) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
