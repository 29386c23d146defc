"""Folds of whole sites, balanced by label.

`sklearn.model_selection.StratifiedGroupKFold` solves the same problem, but its folds for a given seed differ between
versions (scikit-learn pull request 32540), and a split must depend only on content and seed. It also assigns groups in
order of their imbalance instead of their size, so that the largest site may come last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
SCALE: Final = 1_000_000
"""Shares are integer multiples of 1/SCALE, so that sums are exact on every machine."""


def deal_sites(
    label_of: Mapping[str, str], site_of: Mapping[str, str], folds: int, rng: np.random.Generator
) -> list[set[str]]:
    """Assign subjects to folds of whole sites with similar shares of each label and of all subjects.

    Sites are assigned in order of decreasing size (equal sizes in random order), each to the fold in which it increases
    the sum of squared shares the least. Sites are then moved or exchanged as long as this sum decreases. No fold is
    empty.

    Args:
        label_of: Label of each subject.
        site_of: Site of each of these subjects; at least `folds` different sites.
        folds: Number of folds, F.
        rng: Random stream that orders sites of equal size.
    """
    sites, weight_GK = _shares(label_of, site_of)
    order = rng.permutation(len(sites))
    order = order[np.argsort(-weight_GK[order].sum(axis=1), kind="stable")]
    sum_FK = np.zeros((folds, weight_GK.shape[1]), dtype=np.int64)
    fold_G = np.empty(len(sites), dtype=np.int64)
    for g in order:
        fold_G[g] = np.argmin(sum_FK @ weight_GK[g])
        sum_FK[fold_G[g]] += weight_GK[g]
    while sum(_improved(g, weight_GK, fold_G, sum_FK) for g in order):
        continue
    fold_of = dict(zip(sites, fold_G.tolist(), strict=True))
    return [{subject for subject in label_of if fold_of[site_of[subject]] == fold} for fold in range(folds)]


def _shares(label_of: Mapping[str, str], site_of: Mapping[str, str]) -> tuple[list[str], Ints]:
    """Sorted sites (G), and their shares of the subjects with each label and of all subjects (G, K labels + 1)."""
    sites, labels = sorted({site_of[s] for s in label_of}), sorted(set(label_of.values()))
    row, column = ({name: i for i, name in enumerate(names)} for names in (sites, labels))
    counts = np.zeros((len(sites), len(labels) + 1), dtype=np.int64)
    for subject, label in label_of.items():
        counts[row[site_of[subject]], [column[label], -1]] += 1
    return sites, SCALE * counts // counts.sum(axis=0)


def _improved(g: int, weight_GK: Ints, fold_G: Ints, sum_FK: Ints) -> bool:
    """Move a site to a different fold, or exchange it with a site of a different fold, if this decreases the sum of
    squares.

    If the exchanged shares differ by d, the sum changes by 2 d·(other fold − own fold) + 2 d·d. A fold is never left
    empty, because moving its only site increases the sum.
    """
    own = fold_G[g]
    to = np.concatenate([np.arange(len(sum_FK)), fold_G])  # target fold of each move, then of each exchange
    given = np.concatenate([np.zeros_like(sum_FK), weight_GK])
    d = weight_GK[g] - given
    change = np.where(to == own, 0, (d * (sum_FK[to] - sum_FK[own] + d)).sum(axis=1))
    best = int(np.argmin(change))
    if change[best] >= 0:
        return False
    sum_FK[own] -= d[best]
    sum_FK[to[best]] += d[best]
    fold_G[g] = to[best]
    if best >= len(sum_FK):
        fold_G[best - len(sum_FK)] = own
    return True
