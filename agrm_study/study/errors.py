"""Errors in user input, and their messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

SHOWN = 300
"""Maximum number of characters of an invalid value in a message."""


class InputError(Exception):
    """Invalid input; commands print it as one message and exit with code 2.

    Args:
        rule: The violated rule, as a predicate ("must be one of the known backbones").
        where: The file (and field) that contains the value; ``None`` for a command-line value.
        line: Line in that file, counted from 1.
        field: Dotted name of the setting or the column.
        given: The value received.
        allowed: The accepted values, as text.
        hint: Suggested next step.
    """

    def __init__(
        self,
        rule: str,
        *,
        where: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        given: object = None,
        allowed: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.rule, self.where, self.line, self.field = rule, where, line, field
        self.given, self.allowed, self.hint = given, allowed, hint
        super().__init__(self.render())

    @property
    def singles(self) -> tuple[InputError, ...]:
        """The individual errors of which this error consists."""
        return (self,)

    def parts(self) -> dict[str, Any]:
        """The constructor arguments of the error, by name."""
        return {name: getattr(self, name) for name in ("rule", "where", "line", "field", "given", "allowed", "hint")}

    def render(self) -> str:
        """The message: location, field, rule, value, allowed values, hint."""
        place = "" if self.where is None else str(self.where)
        if self.line is not None:
            place = f"{place}:{self.line}" if place else f"line {self.line}"
        subject = f"`{self.field}`: " if self.field else ""
        parts = [f"{place}: {subject}{self.rule}" if place else f"{subject}{self.rule}"]
        if self.given is not None:
            parts.append(f"given {_shortened(repr(self.given))}")
        if self.allowed is not None:
            parts.append(f"allowed: {self.allowed}")
        text = "; ".join(parts)
        return f"{text}. {self.hint}" if self.hint else text


class InputErrors(InputError):
    """Several errors in one message, one per line."""

    def __init__(self, problems: Iterable[InputError]) -> None:
        self.problems = tuple(problems)
        super().__init__(**self.problems[0].parts())

    @property
    def singles(self) -> tuple[InputError, ...]:
        return self.problems

    def render(self) -> str:
        """The number of errors, followed by one line per error."""
        return "\n".join([f"{len(self.problems)} problems:", *(f"  {problem.render()}" for problem in self.problems)])


def together(problems: Sequence[InputError]) -> InputError:
    """One error, or an `InputErrors` with all given errors."""
    return problems[0] if len(problems) == 1 else InputErrors(problems)


def raise_together(problems: Sequence[InputError]) -> None:
    """Raise the problems as one error; has no effect if there are none.

    Raises:
        InputError: See `together`.
    """
    if problems:
        raise together(problems)


def _shortened(text: str) -> str:
    """Text of at most `SHOWN` characters; longer text is shortened in the middle."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN * 3 // 4]} … {text[-SHOWN // 4 :]}"


def did_you_mean(name: str, known: Iterable[str], full: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """A hint with the most similar known name, or ``None`` if no name is similar.

    Args:
        name: The given name.
        known: The known names.
        full: The text to suggest instead of a known name.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean `{full.get(close[0], close[0])}`?" if close else None
