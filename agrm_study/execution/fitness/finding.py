"""What does one check of a machine say?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one question about this machine.

    Attributes:
        check: What was looked at, in one or two words.
        level: ``problem`` for what would stop a study, ``note`` for what is worth knowing.
        text: What was found.
        advice: What to do; empty when nothing is to be done.
    """

    check: str
    level: Level
    text: str
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check=check, level="ok", text=text)


def note(check: str, text: str, advice: str = "") -> Finding:
    """Worth knowing; stops nothing."""
    return Finding(check=check, level="note", text=text, advice=advice)


def problem(check: str, text: str, advice: str) -> Finding:
    """Would stop a study."""
    return Finding(check=check, level="problem", text=text, advice=advice)
