"""Labels of a manifest: free text, and the labels of the paper."""

from __future__ import annotations

import unicodedata
from typing import Final

LABELS: Final[tuple[str, ...]] = ("normal", "genu_varum", "genu_valgum")
"""The labels of the paper, which are used by the built-in tasks and synthetic data."""

MAX_LABEL: Final = 60
"""Maximum length of a label or a class name, which must fit in a row of a table."""


def label_problem(text: str) -> str | None:
    """The rule that a label or class name violates, or None."""
    if not text.strip():
        return "must not be empty"
    if any(unicodedata.category(character)[0] == "C" for character in text) or len(text.splitlines()) > 1:
        return "must be one line of printable characters"
    if len(text) > MAX_LABEL:
        return f"must have at most {MAX_LABEL} characters, has {len(text)}"
    return None


def plain_label(text: str) -> str:
    """A label without surrounding spaces and in Unicode form NFC, so that equal texts compare equal."""
    return unicodedata.normalize("NFC", text.strip())


def label_key(text: str) -> str:
    """Key that is equal for labels that differ only in case or Unicode form."""
    return unicodedata.normalize("NFC", plain_label(text).casefold())
