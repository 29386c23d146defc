"""Matching of names that differ only in Unicode normal form, case, or spreadsheet number format."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from agrm_study.study.errors import did_you_mean


def name_key(name: str) -> str:
    """A name normalised for Unicode form and case, so that names that look alike compare equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def spreadsheet_key(name: str) -> str:
    """`name_key` without leading zeros and trailing `.0` in whole numbers, which spreadsheets may remove or add."""
    key = name_key(name)
    match = re.fullmatch(r"([0-9]+)(?:[.,]0+)?", key)
    return match[1].lstrip("0") or "0" if match else key


class Names:
    """Lookup of known names by a spelling from a user or a spreadsheet."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = set(known)
        self._by_key: list[tuple[Callable[[str], str], dict[str, list[str]]]] = []
        for key in (name_key, spreadsheet_key):
            names: dict[str, list[str]] = {}
            for name in sorted(self._known):
                names.setdefault(key(name), []).append(name)
            self._by_key.append((key, names))

    def resolve(self, name: str) -> str | None:
        """The matching known name: an identical name, otherwise the only name with the same key, or None."""
        if name in self._known:
            return name
        for key, names in self._by_key:
            if len(matches := names.get(key(name), [])) == 1:
                return matches[0]
        return None

    def hint(self, name: str) -> str | None:
        """A hint with known names that differ only in leading zeros, case or normal form, or with the closest name."""
        matches = self._by_key[-1][1].get(spreadsheet_key(name), [])
        return f"Several names match: {', '.join(matches)}." if len(matches) > 1 else nearest(name, self._known)


def resolve_name(name: str, known: Iterable[str]) -> str | None:
    """`Names(known).resolve(name)`."""
    return Names(known).resolve(name)


def yaml_list(names: Sequence[str], shown: int) -> str:
    """A YAML list of the first `shown` names, with quotes around names that YAML would not parse as the same text."""
    plain = re.compile(r"[^\W\d][\w-]*")
    special = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
    quoted = [
        name if plain.fullmatch(name) and name.lower() not in special else json.dumps(name, ensure_ascii=False)
        for name in names[:shown]
    ]
    return f"[{', '.join(quoted)}{', …' if len(names) > shown else ''}]"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the closest known name, compared ignoring case and Unicode normal form; None if no name is close.

    Numbers are never considered similar: `17` is not a misspelling of `117`.
    """
    if spreadsheet_key(name).isdigit():
        return None
    by_key = {name_key(each): each for each in known}
    return did_you_mean(name_key(name), by_key, by_key)
