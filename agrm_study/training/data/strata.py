"""Stratified assignment of subjects to parts and folds, with exact counts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def largest_remainder(total: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Integers that sum to `total`, apportioned to `shares` by largest remainders (Hamilton; ties: earlier first)."""
    exact = [total * share for share in shares]
    counts = [math.floor(value + 1e-9) for value in exact]
    order = sorted(range(len(shares)), key=lambda part: (-(exact[part] - counts[part]), part))
    for part in order[: total - sum(counts)]:
        counts[part] += 1
    return tuple(counts)


def stratified_counts(sizes: Sequence[int], shares: Sequence[float]) -> NDArray[np.int64]:
    """Number of subjects of each label (rows) in each part (columns).

    Rows sum to `sizes`. Columns sum to the largest-remainder counts of the total wherever each cell can stay within one
    of its exact value. Among such tables, the one that rounds up the largest remainders is chosen.

    Args:
        sizes: Number of subjects of each label.
        shares: Share of each part; they sum to 1.

    Returns:
        Counts (labels, parts).
    """
    exact = np.outer(np.asarray(sizes, dtype=np.float64), np.asarray(shares, dtype=np.float64))
    floors = np.floor(exact + 1e-9).astype(np.int64)
    rest = exact - floors
    totals = np.asarray(largest_remainder(sum(sizes), shares))
    options: list[list[NDArray[np.int64]]] = []
    for row, size in enumerate(sizes):
        missing = int(size - floors[row].sum())
        open_parts = np.flatnonzero(rest[row] > 1e-9)  # an exact cell is not rounded up
        chosen = itertools.combinations(open_parts.tolist(), missing)
        options.append([np.isin(np.arange(len(shares)), pick).astype(np.int64) for pick in chosen])
    best: tuple[int, float] = (1 << 30, 0.0)
    table = floors
    for rows in itertools.product(*options):
        candidate = floors + np.stack(rows) if rows else floors
        off = int(np.abs(candidate.sum(axis=0) - totals).sum())
        value = (off, -float((rest * (candidate - floors)).sum()))
        if value[0] < best[0] or (value[0] == best[0] and value[1] < best[1] - 1e-9):
            best, table = value, candidate
    return table


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
