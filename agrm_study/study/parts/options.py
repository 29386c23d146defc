"""Options: settings of one part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from agrm_study.study.section import Section


class Options(Section):
    """Base class of the settings of a part, a pydantic model in which every option has a default.

    Examples:
        >>> import agrm_study as ags
        >>> class Blocks(ags.Options):
        ...     blocks: int = 4
        >>> Blocks().blocks
        4
    """


class NoOptions(Options):
    """A part without options."""


class HasOptions:
    """Base class of parts that may have options, defined by a nested class ``Options``."""

    Options: ClassVar[type[Options]] = NoOptions

    @classmethod
    def options_of(cls, values: Mapping[str, Any]) -> Any:
        """The options of the part, from the values in a recipe.

        Args:
            values: Values of the `options` field in the recipe section of the part.

        Returns:
            An instance of ``Options``.
        """
        own = {name: value for name, value in values.items() if name in cls.Options.model_fields}
        return cls.Options.model_validate_json(json.dumps(own), strict=True)
