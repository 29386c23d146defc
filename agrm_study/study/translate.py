"""Validation by pydantic, with error messages for users without knowledge of Python."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from agrm_study.study.errors import InputError, did_you_mean, together
from agrm_study.study.problems import Places, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

_RULES: dict[str, str] = {
    "missing": "is required",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "path_type": "must be the name of a file",
    "list_type": "must be a list, [a, b, …]",
    "tuple_type": "must be a list, [a, b, …]",
    "dict_type": "must be a group of settings, each `name: value`",
    "model_type": "must be a group of settings, each `name: value`",
    "model_attributes_type": "must be a group of settings, each `name: value`",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "is not one of the allowed values",
    "string_pattern_mismatch": "does not have the required form",
}


def validated(model: type[M], value: Any, places: Places, *, prefix: str = "") -> M:
    """An instance of a model from plain JSON values.

    In the JSON mode of pydantic, lists are converted to tuples and text to paths; in the strict mode, nothing else is
    converted: "5" is not accepted for 5, nor true for 1.

    Args:
        model: The model.
        value: Plain values.
        places: Locations of the values, by path.
        prefix: Prefix of the dotted field for messages.

    Raises:
        InputError: If any rule is violated; see `translate`.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as fault:
        raise together(translate(fault, places, model=model, prefix=prefix)) from None


def translate(fault: ValidationError, places: Places, *, model: type[BaseModel], prefix: str = "") -> list[InputError]:
    """The errors in a pydantic validation error, one for each violated rule, in the order of the file.

    Args:
        fault: Error raised by pydantic.
        places: Locations of the values, by path.
        model: The validated model, whose fields are suggested for unknown names.
        prefix: Prefix of the dotted field.
    """
    errors = fault.errors(include_url=False)
    broken = {error["loc"] for error in errors}
    problems = [
        _one(error, places, model, prefix)
        for error in errors
        # pydantic also reports a list with invalid items as too short; the errors of the items are clearer.
        if error["type"] != "too_short" or not any(_inside(other, error["loc"]) for other in broken)
    ]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _inside(path: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _one(error: ErrorDetails, places: Places, model: type[BaseModel], prefix: str) -> InputError:
    path = tuple(error["loc"])
    place = places.find(path)
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    allowed = hint = None
    if kind == "extra_forbidden":
        rule, given = "there is no such key", None
        known = fields_at(model, path[:-1])
        hint = did_you_mean(str(path[-1]), known)
        allowed = ", ".join(known) or None
    elif kind in ("value_error", "assertion_error"):
        raised = context.get("error")
        own = raised if isinstance(raised, Rule) else Rule(str(raised))
        rule, allowed, hint, given = own.rule, own.allowed, own.hint, given if own.show else None
    elif kind in ("too_short", "too_long"):
        rule = _length_rule(kind, context)
    elif kind == "missing" and isinstance(path[-1], int):
        rule, path = f"must contain at least {path[-1] + 1} values", path[:-1]
    else:
        rule = _RULES.get(kind, "").format(**{key: _number(value) for key, value in context.items()}) or _plain(
            error["msg"]
        )
    if kind == "literal_error":
        allowed = _choices(str(context.get("expected", "")))
        hint = did_you_mean(str(given), (allowed or "").split(", "))
    if kind == "missing" or isinstance(given, Mapping):
        given = None
    return InputError(
        rule,
        where=place.where,
        line=place.line,
        field=f"{prefix}{dotted(path)}".removesuffix(".") or None,
        given=given,
        allowed=allowed,
        hint=hint,
    )


class Rule(ValueError):
    """Violation of a rule, raised by the validators of this package, with additional parts of the message."""

    def __init__(self, rule: str, *, allowed: str | None = None, hint: str | None = None, show: bool = True) -> None:
        super().__init__(rule)
        self.rule, self.allowed, self.hint, self.show = rule, allowed, hint, show


def _length_rule(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "too_short":
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"must contain at least {least} values"
    return f"must contain at most {context['max_length']} values"


def _choices(expected: str) -> str:
    """Convert ``'a', 'b' or 'c'`` to ``a, b, c``."""
    quoted = re.findall(r"'([^']*)'", expected)
    return ", ".join(quoted or re.split(r", | or ", expected))


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input should be ").rstrip(".")


def fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> tuple[str, ...]:
    """The valid keys of the group at ``path`` in a model; empty if the value is not a group."""
    current: Any = model
    keyed = False
    for part in path:
        if isinstance(part, int):
            continue
        if keyed:  # name of an entry, not of a field
            keyed = False
            continue
        info = next((i for name, i in current.model_fields.items() if part in (name, i.alias)), None)
        inner = None if info is None else _first(info.annotation, _is_model)
        if info is None or inner is None:
            return ()
        current, keyed = inner, _first(info.annotation, lambda t: get_origin(t) is dict) is not None
    return tuple(info.alias or name for name, info in current.model_fields.items())


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _first(annotation: Any, wanted: Callable[[Any], bool]) -> Any:
    """The first type in a (possibly generic) annotation that satisfies a predicate."""
    if wanted(annotation):
        return annotation
    for part in get_args(annotation):
        if (found := _first(part, wanted)) is not None:
            return found
    return None
