"""Matching of names that differ only in Unicode normal form, case, or what a spreadsheet changes in numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from agrm_study.study.errors import did_you_mean


def name_key(name: str) -> str:
    """A name without its Unicode normal form and case: equal for names that look alike."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def spreadsheet_key(name: str) -> str:
    """`name_key`, and a whole number without leading zeros and `.0`, which spreadsheets remove and add."""
    key = name_key(name)
    match = re.fullmatch(r"([0-9]+)(?:[.,]0+)?", key)
    return match[1].lstrip("0") or "0" if match else key


def resolve_name(name: str, known: Iterable[str]) -> str | None:
    """The known name that is meant: the same one, or else the only one with the same key; None otherwise."""
    known = set(known)
    if name in known:
        return name
    for key in (name_key, spreadsheet_key):
        matches = [each for each in known if key(each) == key(name)]
        if len(matches) == 1:
            return matches[0]
    return None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest known name, compared without case and Unicode normal form; None if none is close.

    Digits alone are not similar to other digits: `17` is no misspelling of `117`.
    """
    if spreadsheet_key(name).isdigit():
        return None
    by_key = {name_key(each): each for each in known}
    hint = did_you_mean(name_key(name), by_key)
    match = re.search(r"`(.*)`", hint) if hint else None
    return f"Did you mean `{by_key[match[1]]}`?" if match else None
