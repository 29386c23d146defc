"""The result of one check of a machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        level: ``problem`` if it would stop a study, ``note`` for non-fatal facts.
        advice: The remedy; empty if none is needed.
    """

    check: str
    level: Level
    text: str
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def ok(check: str, text: str) -> Finding:
    """A check that passed."""
    return Finding(check=check, level="ok", text=text)


def note(check: str, text: str, advice: str = "") -> Finding:
    """A non-fatal fact."""
    return Finding(check=check, level="note", text=text, advice=advice)


def problem(check: str, text: str, advice: str) -> Finding:
    """A finding that would stop a study."""
    return Finding(check=check, level="problem", text=text, advice=advice)
