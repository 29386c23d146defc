"""Temporary changes to the environment and to attributes, undone when a block ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def patched_environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables within the block and restores them afterwards."""
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
    """Sets an attribute of a module, a class or an object within the block.

    Raises:
        AttributeError: The owner has no such attribute, as a library that the block relies on has changed.
    """
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)
