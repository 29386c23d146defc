"""Temporary changes to the environment and to attributes, undone when a block ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def patched_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables have these values in the block, and their former ones (or none) afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def patched_attribute(owner: object, name: str, value: Any) -> Iterator[None]:
    """An attribute of a module, a class or an object has this value in the block.

    Raises:
        AttributeError: The owner has no such attribute: a library has changed, and the block relied on it.
    """
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
