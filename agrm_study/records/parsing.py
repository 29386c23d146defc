"""Typed reading of JSON files that may hold anything."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, TypeAdapter
from pydantic_core import from_json

from agrm_study.records.location import Location

Count = Annotated[int, Field(ge=0, lt=2**31)]
Seconds = Annotated[float, Field(ge=0, lt=1e10, allow_inf_nan=False)]
"""Durations, and times since 1970 that a date can hold."""

T = TypeVar("T")

MOST_DIGITS: Final = 9


def read_typed(kind: type[T], file: Location, **expected: Any) -> T | None:
    """As `parse`, of a file; ``None`` also where there is none, or a folder in its place.

    Raises:
        OSError: The storage refuses.
    """
    try:
        return parse(kind, file.read(), **expected)
    except IsADirectoryError:
        return None


def read_count(file: Location) -> int | None:
    """The whole number that a file consists of; ``None`` where there is none, or none below a billion.

    Raises:
        OSError: The storage refuses.
    """
    try:
        content = file.read()
    except IsADirectoryError:
        return None
    return int(content) if content is not None and content.isdigit() and len(content) <= MOST_DIGITS else None


def parse(kind: type[T], content: bytes | str | None, **expected: Any) -> T | None:
    """The value of a dataclass that JSON describes; ``None`` where it is not JSON, or a value is of another type.

    Args:
        kind: The dataclass; fields without a default must be there, other keys are ignored.
        content: The JSON; ``None`` gives ``None``.
        expected: Keys with the values that they must have, such as the version of the file.
    """
    if content is None:
        return None
    try:
        if expected:
            values = from_json(content)
            if not isinstance(values, dict) or any(values.get(key) != value for key, value in expected.items()):
                return None
        value: T = _adapter(kind).validate_json(content, strict=True)  # type: ignore[arg-type]
    except ValueError:  # of pydantic too
        return None
    return value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
