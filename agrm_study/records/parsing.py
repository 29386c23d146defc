"""Parsing of JSON files into typed values; invalid content results in None."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, TypeAdapter
from pydantic_core import from_json

from agrm_study.records.location import Location

Count = Annotated[int, Field(ge=0, lt=2**31)]
Seconds = Annotated[float, Field(ge=0, lt=1e10, allow_inf_nan=False)]
"""Durations, and Unix times in the range of `datetime`."""

T = TypeVar("T")

MOST_DIGITS: Final = 9


def read_typed(kind: type[T], file: Location, **expected: Any) -> T | None:
    """Like `parse`, for a file; also returns ``None`` if the file does not exist or is a folder.

    Raises:
        OSError: If the storage rejects a request.
    """
    try:
        return parse(kind, file.read(), **expected)
    except IsADirectoryError:
        return None


def read_count(file: Location) -> int | None:
    """The non-negative integer in a file; ``None`` if the file is missing or does not contain one below a billion.

    Raises:
        OSError: If the storage rejects a request.
    """
    try:
        content = file.read()
    except IsADirectoryError:
        return None
    return int(content) if content is not None and content.isdigit() and len(content) <= MOST_DIGITS else None


def parse(kind: type[T], content: bytes | str | None, **expected: Any) -> T | None:
    """Parses JSON into a dataclass; ``None`` if it is not valid JSON or a value has the wrong type.

    Args:
        kind: The dataclass; fields without a default are required, other keys are ignored.
        content: JSON text; for ``None``, the result is ``None``.
        expected: Required values by key, such as the version of the file.
    """
    if content is None:
        return None
    try:
        if expected:
            values = from_json(content)
            if not isinstance(values, dict) or any(values.get(key) != value for key, value in expected.items()):
                return None
        value: T = _adapter(kind).validate_json(content, strict=True)  # type: ignore[arg-type]
    except ValueError:  # includes pydantic's ValidationError
        return None
    return value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
