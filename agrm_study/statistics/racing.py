"""Racing: early elimination of arms that are significantly worse than another arm.

Seeds are added in rounds. After each round (a look), every arm is compared with every remaining arm by a one-sided
paired t-test over their common seeds. The test of one arm at one look has the level

    limit = level / (looks · (arms − 1)),

the Bonferroni correction over looks and competing arms. The race drops an arm that is truly best (no other has a larger
expectation) only if one of these looks · (arms − 1) tests makes an error, so that

    P(a truly best arm is dropped) ≤ level,

regardless of which other arms are dropped and when results are inspected: the bound sums over all possible tests, not
only over the tests performed. It requires the assumptions of the paired t-test: independent seeds and approximately
normal differences.

Racing: Maron & Moore 1994; with paired tests over blocks (F-race): Birattari et al. 2002. The equal spending of the
level over looks is the Bonferroni form of Pocock 1977; the restriction to tests of the best arm follows Hsu 1981
(multiple comparisons with the best).

Axes: A arms, S seeds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy
from numpy.typing import ArrayLike

from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.probabilities import TIE

LEAST_SEEDS: Final = 3
"""Minimum number of common seeds for a test: with two, the t-test has one degree of freedom and almost no power."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """Reason why an arm was dropped.

    Attributes:
        arm: Row of the arm.
        rival: Row of the competing arm with the smallest p-value.
        n: Number of common seeds.
        difference: Mean of rival − arm.
        p: One-sided p-value of the paired t-test.
        limit: Level of the test; p is at most this value.
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
        ValueError: If a number is out of range.
    """
    if not LEAST_SEEDS <= first < most or step < 1:
        raise ValueError(f"a race requires {LEAST_SEEDS} ≤ first < most and step ≥ 1, got {first}, {most}, {step}")
    return tuple(range(first, most, step))


def limit(level: float, arms: int, number_of_looks: int) -> float:
    """Significance level of one test of one arm against one competing arm at one look."""
    return level / (number_of_looks * max(1, arms - 1))


def paired_p(differences_AS: ArrayLike) -> Floats:
    """One-sided p-value for the null hypothesis that the mean difference is ≤ 0, by row (A,); NaN entries are ignored.

    Rows with fewer than `LEAST_SEEDS` differences have p = 1. If all differences are the same positive number, so that
    their variance is zero, p is 2⁻ⁿ, as in the sign test.
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
    p = scipy.special.stdtr(np.maximum(n - 1, 1), -t)
    p = np.where(same, np.where(mean > TIE, np.power(2.0, -n), 1.0), p)
    return np.where(n < LEAST_SEEDS, 1.0, p)


def drop(values_AS: ArrayLike, inside: Collection[int], limit: float, *, keep: Collection[int] = ()) -> list[Out]:
    """The arms that are dropped at one look.

    Args:
        values_AS: Metric of each arm for the seeds of this look, larger is better; NaN if missing.
        inside: Rows of the remaining arms.
        limit: Level of each test.
        keep: Rows that are never dropped.

    Returns:
        Dropped arms in the order of the rows, never all of ``inside``. Without missing seeds, the arm with the largest
        mean is never dropped; if missing seeds make every arm worse than another arm, no arm is dropped.
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
    """Simulate a race in which all values are known.

    Args:
        values_AS: Metric of each arm for each of ``most`` seeds, larger is better.
        first: Number of seeds before the first look.
        most: Maximum number of seeds.
        level: Upper bound on the probability that a truly best arm is dropped.
        step: Number of seeds between two looks.
        keep: Rows that are never dropped.

    Returns:
        For each dropped arm, the number of seeds when it was dropped, and the reason.
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
    """Number of trials in a race: the seeds of each arm until it was dropped, summed over the arms."""
    return sum(outs[arm][0] if arm in outs else most for arm in range(arms))
