"""Durations as given on the command line, such as `7h30m`."""

from __future__ import annotations

import itertools
import re
from typing import Final

from agrm_study.study.errors import InputError

UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
MOST_DAYS: Final = 366
_FORM: Final = re.compile("".join(rf"(?:(\d{{1,8}}){unit})?" for unit in UNITS), re.ASCII)


def read_duration(text: str, *, field: str | None = None) -> float:
    """Number of seconds in a duration such as ``7h30m``, ``90m`` or ``1d12h``.

    Args:
        text: Integers with units (d, h, m, s), largest unit first; each part must be shorter than one unit of the
            preceding part.
        field: Name of the option, for the message.

    Raises:
        InputError: If the text has a different form, or the duration is zero or more than 366 days.
    """
    found = _FORM.fullmatch(text.strip()) if text.strip() else None
    if found is None:
        raise _wrong("must be a duration: whole numbers with units, largest first", text, field)
    given = [(unit, int(number)) for unit, number in zip(UNITS, found.groups(), strict=True) if number is not None]
    for (larger, _), (unit, number) in itertools.pairwise(given):
        if number * UNITS[unit] >= UNITS[larger]:
            raise _wrong(f"{number}{unit} after a number of {larger} must be less than 1{larger}", text, field)
    seconds = sum(number * UNITS[unit] for unit, number in given)
    if not 0 < seconds <= MOST_DAYS * UNITS["d"]:
        raise _wrong(f"must be longer than 0 and at most {MOST_DAYS} days", text, field)
    return float(seconds)


def _wrong(rule: str, text: str, field: str | None) -> InputError:
    return InputError(rule, field=field, given=text, allowed="7h30m, 90m, 45s, 1d12h")


def written_duration(seconds: float) -> str:
    """The text from which `read_duration` reads the given number of seconds, rounded to an integer."""
    rest, parts = round(seconds), []
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        parts += [f"{count}{unit}"] * bool(count)
    return "".join(parts) or "0s"
