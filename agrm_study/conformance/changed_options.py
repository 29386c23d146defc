"""Alternative values for a part's options, used to check the effect of each option."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from agrm_study.study.parts.options import Options


def changed_options(model: type[Options]) -> Iterator[tuple[str, Any]]:
    """Each option with one valid value other than its default; free-text options and groups of options are omitted."""
    for option, field in model.model_fields.items():
        for value in _others(field.annotation, field.default):
            try:
                model.model_validate_json(json.dumps({option: value}), strict=True)
            except ValidationError:
                continue
            yield option, value
            break


def _others(annotation: Any, default: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return tuple(value for value in get_args(annotation) if value != default)
    match default:
        case bool():
            return (not default,)
        case int():
            return default + 1, default - 1
        case float():
            return default * 2 or 0.5, default / 2
        case _:
            return ()
