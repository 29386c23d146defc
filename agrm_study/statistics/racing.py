"""Which arms are out of a race: surely enough worse than another arm, after so few seeds?

Seeds are added in rounds. After each round (a look) every arm is compared with every arm that is still in, by a
one-sided paired t-test over the seeds that both have. The test of one arm at one look has the level

    limit = level / (looks · (arms − 1)),

its share of the whole by Bonferroni over looks and rivals. The race errs about an arm that is truly best (no other has
a larger expectation) only if one of these looks · (arms − 1) tests errs, so that

    P(a truly best arm is dropped) ≤ level,

whatever is dropped beside it and whenever the race is read: the bound is a sum over tests that could have been made,
not only over those that were. It holds as far as the paired t-test does: seeds independent, differences roughly normal.

Racing: Maron & Moore 1994; by paired tests over blocks (F-race): Birattari et al. 2002. The equal spending of the level
over looks is the Bonferroni form of Pocock 1977; that the best arm's own tests suffice is Hsu 1981 (multiple
comparisons with the best).

Axes: A arms, S seeds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from agrm_study.statistics.arrays import Floats

LEAST_SEEDS: Final = 3
"""Seeds that both arms of a test must have: with two, the t-test has one degree of freedom and decides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """Why an arm is out.

    Attributes:
        arm: Its row.
        rival: Row of the arm that beats it most surely.
        n: Seeds that both have.
        difference: Mean of rival − arm.
        p: One-sided paired t.
        limit: The level it is below of.
    """

    arm: int
    rival: int
    n: int
    difference: float
    p: float
    limit: float


def looks(first: int, most: int, step: int = 1) -> tuple[int, ...]:
    """Numbers of seeds after which arms may be dropped: first, first + step, … below ``most``.

    Raises:
        ValueError: When a number makes no sense.
    """
    if not LEAST_SEEDS <= first < most or step < 1:
        raise ValueError(f"a race needs {LEAST_SEEDS} ≤ first < most and step ≥ 1, given {first}, {most}, {step}")
    return tuple(range(first, most, step))


def limit(level: float, arms: int, number_of_looks: int) -> float:
    """Level of one test of one arm against one rival at one look."""
    return level / (number_of_looks * max(1, arms - 1))


def paired_p(differences_AS: ArrayLike) -> Floats:
    """One-sided p of a mean difference of at most 0, by row (A,); NaN entries do not count.

    Rows with fewer than `LEAST_SEEDS` differences have p = 1. Where all differences are the same positive number there
    is no variance to judge by: the sign test's 2⁻ⁿ is used.
    """
    d = np.atleast_2d(np.asarray(differences_AS, dtype=np.float64))
    here = ~np.isnan(d)
    n = here.sum(axis=1)
    filled = np.where(here, d, 0.0)
    mean = filled.sum(axis=1) / np.maximum(n, 1)
    spread = np.where(here, d - mean[:, None], 0.0)
    error = np.sqrt((spread**2).sum(axis=1) / np.maximum(n - 1, 1) / np.maximum(n, 1))
    same = error <= 1e-9 * np.maximum(np.abs(mean), 1e-9)
    t = np.divide(mean, error, out=np.zeros_like(mean), where=~same)
    p = special.stdtr(np.maximum(n - 1, 1), -t)
    p = np.where(same, np.where(mean > 0, np.power(2.0, -n), 1.0), p)
    return np.where(n < LEAST_SEEDS, 1.0, p)


def drop(values_AS: ArrayLike, inside: Collection[int], limit: float, *, keep: Collection[int] = ()) -> list[Out]:
    """The arms that go out at one look.

    Args:
        values_AS: Metric of each arm at the seeds of this look, larger is better; NaN where there is none.
        inside: Rows that are in.
        limit: Level of each test.
        keep: Rows that never go out.

    Returns:
        In the order of the rows. Never all of ``inside``: the arm with the largest mean loses to nobody, and where
        missing seeds make arms beat each other in a circle, none goes out.
    """
    values = np.atleast_2d(np.asarray(values_AS, dtype=np.float64))
    rows = sorted(inside)
    found = []
    for arm in rows:
        rivals = [row for row in rows if row != arm]
        if arm in keep or not rivals:
            continue
        differences = values[rivals] - values[arm]
        p = paired_p(differences)
        best = int(np.argmin(p))
        if p[best] <= limit:
            d = differences[best][~np.isnan(differences[best])]
            found.append(
                Out(arm=arm, rival=rivals[best], n=d.size, difference=float(d.mean()), p=float(p[best]), limit=limit)
            )
    return found if len(found) < len(rows) else []


def race(
    values_AS: ArrayLike, *, first: int, most: int, level: float, step: int = 1, keep: Collection[int] = ()
) -> dict[int, tuple[int, Out]]:
    """A whole race over values that are all known.

    Args:
        values_AS: Metric of each arm at each of ``most`` seeds, larger is better.
        first: Seeds before the first look.
        most: Seeds at most.
        level: Probability at most that a truly best arm is dropped.
        step: Seeds between two looks.
        keep: Rows that never go out.

    Returns:
        For each arm that went out: the number of seeds of that look, and why.
    """
    values = np.atleast_2d(np.asarray(values_AS, dtype=np.float64))
    at = looks(first, most, step)
    each = limit(level, len(values), len(at))
    inside = set(range(len(values)))
    outs: dict[int, tuple[int, Out]] = {}
    for n in at:
        for out in drop(values[:, :n], inside, each, keep=keep):
            outs[out.arm] = (n, out)
        inside -= outs.keys()
    return outs


def seeds_used(outs: dict[int, tuple[int, Out]], arms: int, most: int) -> int:
    """Trials that a race has run: the seeds of every arm until it went out."""
    return sum(outs[arm][0] if arm in outs else most for arm in range(arms))
