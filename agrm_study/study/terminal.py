"""Escaping of control characters in text that is printed to a terminal."""

from __future__ import annotations

import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
"""Unicode categories that are escaped: control characters (C0, C1), direction marks and other format characters, line
and paragraph separators, surrogates."""
_KEPT: Final = frozenset("\n\t\u200d")
"""Characters of these categories that are not escaped: line breaks, tabs, and the joiner in emoji and Indic scripts."""


def printable(text: str) -> str:
    """The text with control characters, direction marks and line separators escaped as ``\\x1b`` or ``\\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(c) for c in text)


def escape(text: object) -> str:
    """The `printable` text on one line, with Rich markup escaped."""
    from rich.markup import escape as escape_markup

    return escape_markup(printable(str(text)).replace("\n", "\\n"))


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
