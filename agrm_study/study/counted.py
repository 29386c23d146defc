"""Numbers with nouns, and shortened lists of names, for messages."""

from __future__ import annotations

from collections.abc import Sequence


def counted(number: int | str, noun: str, plural: str = "") -> str:
    """A number with a noun, in the plural unless the number is 1: ``1 epoch``, ``0 epochs``, ``3 studies``.

    Args:
        number: The number, or its text.
        noun: The noun in the singular.
        plural: The plural; by default the singular with ``s``.
    """
    return f"{number} {noun if str(number) == '1' else plural or noun + 's'}"


def some(items: Sequence[str], most: int = 3) -> str:
    """The first few items, and the number of remaining items."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
