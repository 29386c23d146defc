"""Order of clips within an epoch, determined by (seed, epoch) so that arms with the same seed share it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.generators import generator

Ints = NDArray[np.int64]


def labelled_batches(seed: int, epoch: int, clips: int, batch: int) -> list[Ints]:
    """Row indices of each labelled batch: every clip once, in ⌈clips / batch⌉ batches of nearly equal size.

    Sizes differ by at most one. A last batch with a single clip would give unusable batch-norm statistics.
    """
    order_N = generator(seed, "order", epoch).permutation(clips)
    return np.array_split(order_N, math.ceil(clips / batch))


def unlabelled_batches(seed: int, epoch: int, clips: int, open_ids: Ints, batch: int, steps: int) -> list[Ints]:
    """Ids of each unlabelled batch, cycling through the open clips in a new order each cycle.

    Args:
        seed: Seed of the trial.
        epoch: Number of the epoch, from 1.
        clips: Number of all clips in the unlabelled part, for which the order is drawn.
        open_ids: Ids of clips that are still unlabelled, at least one.
        batch: Maximum batch size; limited by the number of open clips.
        steps: Number of batches.
    """
    rng = generator(seed, "unlabelled", epoch)
    is_open = np.zeros(clips, dtype=bool)
    is_open[open_ids] = True
    size = min(batch, len(open_ids))
    rounds: list[Ints] = []
    while sum(map(len, rounds)) < size * steps:
        order = rng.permutation(clips)
        rounds.append(order[is_open[order]])
    sequence = np.concatenate(rounds)[: size * steps]
    return list(sequence.reshape(steps, size))
