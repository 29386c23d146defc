"""Marks for the best and second-best rows of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agrm_study.report.table import Style


def best_and_second(values: Sequence[float | None], shown: Sequence[str]) -> tuple[Style, ...]:
    """Styles by rank, where larger is better. Ranks use unrounded values; values that print identically share a rank.

    Args:
        values: Unrounded values; None and NaN are not ranked.
        shown: The values as printed; equal texts are ties.
    """
    known = [i for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    styles: list[Style] = ["plain"] * len(values)
    if len(known) < 2:
        return tuple(styles)
    ranked = sorted(known, key=lambda i: -float(values[i] or 0.0))
    best = {i for i in known if shown[i] == shown[ranked[0]]}
    rest = [i for i in ranked if i not in best]
    second = {i for i in rest if shown[i] == shown[rest[0]]} if rest else set()
    for i in best:
        styles[i] = "best"
    for i in second:
        styles[i] = "second"
    return tuple(styles)
