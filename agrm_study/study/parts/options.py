"""Options: settings of an individual part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from agrm_study.study.options import OptionValues
from agrm_study.study.section import Section


class Options(Section):
    """A part's own settings, as a pydantic model; every option has a default.

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
    """A part that may have options: a nested class ``Options``."""

    Options: ClassVar[type[Options]] = NoOptions

    @classmethod
    def options_of(cls, values: Mapping[str, Any]) -> Any:
        """The options of a part, from the `options` of its section.

        Args:
            values: ``settings.options``.

        Returns:
            A value of the class's ``Options``.
        """
        own = {name: value for name, value in values.items() if name in cls.Options.model_fields}
        return cls.Options.model_validate_json(json.dumps(own), strict=True)


__all__ = ["HasOptions", "NoOptions", "OptionValues", "Options"]
