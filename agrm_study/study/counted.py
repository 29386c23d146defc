"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int | str, noun: str, plural: str = "") -> str:
    """A number and its noun, in the plural unless the number is 1: ``1 epoch``, ``0 epochs``, ``3 studies``.

    Args:
        number: The number, or its text.
        noun: The noun in the singular.
        plural: Its plural; by default with ``s``.
    """
    return f"{number} {noun if str(number) == '1' else plural or noun + 's'}"
