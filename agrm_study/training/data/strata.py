"""Stratified assignment of subjects to parts and folds, with exact counts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray


def largest_remainder(total: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Integers that sum to `total`, apportioned to `shares` by Hamilton's method of largest remainders.

    Ties go to the first share.
    """
    exact = [total * share for share in shares]
    counts = [math.floor(value + 1e-9) for value in exact]
    order = sorted(range(len(shares)), key=lambda part: (-(exact[part] - counts[part]), part))
    for part in order[: total - sum(counts)]:
        counts[part] += 1
    return tuple(counts)


def stratified_counts(sizes: Sequence[int], shares: Sequence[float]) -> NDArray[np.int64]:
    """Number of subjects of each label (rows) in each part (columns).

    Rows sum to `sizes`. Columns sum to the largest-remainder counts of the total if this is possible with every cell
    within one of its exact value. Among such tables, the one that rounds up the largest remainders is chosen.

    Args:
        sizes: Number of subjects of each label.
        shares: Share of each part; they sum to 1.

    Returns:
        Counts (labels, parts).
    """
    exact = np.outer(np.asarray(sizes, dtype=np.float64), np.asarray(shares, dtype=np.float64))
    floors = np.floor(exact + 1e-9).astype(np.int64)
    rest = exact - floors
    wanted = np.asarray(largest_remainder(sum(sizes), shares)) - floors.sum(axis=0)
    options = [
        # exact cells are not rounded up
        tuple(itertools.combinations(np.flatnonzero(row > 1e-9).tolist(), int(size - floor.sum())))
        for size, floor, row in zip(sizes, floors, rest, strict=True)
    ]
    table = floors.copy()
    for row, parts in enumerate(_best_choice(options, rest, tuple(wanted.tolist()))):
        table[row, list(parts)] += 1
    return table


Choice = tuple[int, ...]
"""Parts whose count is rounded up for one label."""


def _best_choice(
    options: Sequence[Sequence[Choice]], rest: NDArray[np.float64], wanted: tuple[int, ...]
) -> list[Choice]:
    """One choice for each label, such that the column sums are as close as possible to the requested ones and, among
    these choices, the sum of remainders is largest.

    Among equally good tables, the first in the order of the options is chosen. The best value of the remaining labels
    depends only on the current column sums, so the cost does not grow exponentially with the number of labels.

    Args:
        options: Choices of each label.
        rest: Remainder of each cell (labels, parts).
        wanted: Number of cells to round up in each column.
    """
    whole = np.rint(rest * 1e9).astype(np.int64).tolist()  # integers, so that sums of equal remainders are equal

    @cache
    def best(row: int, left: tuple[int, ...]) -> tuple[int, int]:
        """Smallest column deviation and largest sum of remainders (negated) for the labels starting at ``row``."""
        if row == len(options):
            return sum(map(abs, left)), 0
        return min(value(row, parts, left) for parts in options[row])

    def value(row: int, parts: Choice, left: tuple[int, ...]) -> tuple[int, int]:
        off, total = best(row + 1, _without(left, parts))
        return off, total - sum(whole[row][part] for part in parts)

    chosen: list[Choice] = []
    left = wanted
    for row, choices in enumerate(options):
        parts = min(choices, key=lambda each: value(row, each, left))
        chosen.append(parts)
        left = _without(left, parts)
    return chosen


def _without(left: tuple[int, ...], parts: Choice) -> tuple[int, ...]:
    return tuple(count - (part in parts) for part, count in enumerate(left))


def shuffled_strata(label_of: Mapping[str, str], rng: np.random.Generator) -> dict[str, list[str]]:
    """Subjects of each label in random order, independent of the order of the mapping."""
    strata: dict[str, list[str]] = {}
    for label in sorted(set(label_of.values())):
        members = sorted(subject for subject, its in label_of.items() if its == label)
        strata[label] = [members[i] for i in rng.permutation(len(members))]
    return strata


def deal(label_of: Mapping[str, str], shares: Sequence[float], rng: np.random.Generator) -> list[set[str]]:
    """Assign subjects to parts, stratified by label, with the counts of `stratified_counts`."""
    strata = shuffled_strata(label_of, rng)
    counts = stratified_counts([len(members) for members in strata.values()], shares)
    parts: list[set[str]] = [set() for _ in shares]
    for members, row in zip(strata.values(), counts, strict=True):
        ends = np.cumsum(row)
        for part, (start, end) in zip(parts, zip(ends - row, ends, strict=True), strict=True):
            part.update(members[start:end])
    return parts


def deal_folds(label_of: Mapping[str, str], folds: int, rng: np.random.Generator) -> list[set[str]]:
    """Assign subjects to folds whose sizes differ by at most one, in total and within each label."""
    parts: list[set[str]] = [set() for _ in range(folds)]
    dealt = itertools.chain.from_iterable(shuffled_strata(label_of, rng).values())
    for position, subject in enumerate(dealt):
        parts[position % folds].add(subject)
    return parts


def take_share(label_of: Mapping[str, str], share: float, rng: np.random.Generator) -> set[str]:
    """A stratified share of the subjects, with at least one per label; smaller shares are subsets of larger ones."""
    taken: set[str] = set()
    for members in shuffled_strata(label_of, rng).values():
        taken.update(members[: max(1, math.floor(len(members) * share + 0.5))])
    return taken


def take_balanced(label_of: Mapping[str, str], rng: np.random.Generator) -> set[str]:
    """A balanced subset: as many subjects of each label as the rarest label has."""
    strata = shuffled_strata(label_of, rng)
    size = min((len(members) for members in strata.values()), default=0)
    return {subject for members in strata.values() for subject in members[:size]}
