"""The frozen base class of all sections of a recipe, and number types shared by settings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
MAX_SEED = 2**63 - 1
"""Largest seed; records store seeds as 64-bit integers."""

MAX_COUNT = 2**31 - 1
"""Largest value of settings without a tighter bound; records store them as 32-bit integers."""

Positive = Annotated[int, Field(ge=1, le=MAX_COUNT)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Steps = Annotated[int, Field(ge=1, le=1_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=100_000)]


def integer_as_text(value: Any) -> Any:
    """Convert an integer, which YAML reads for an unquoted name such as 12, to text; other values are unchanged."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Section(BaseModel):
    """A frozen group of settings that rejects unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
