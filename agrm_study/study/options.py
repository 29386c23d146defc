"""Option values of user-defined parts in a recipe."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, JsonValue


class OptionValues(dict[str, Any]):
    """Options by name, as plain JSON values; immutable and hashable."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


OptionsField = Annotated[dict[str, JsonValue], AfterValidator(OptionValues)]
"""Type of the recipe fields that contain options."""
