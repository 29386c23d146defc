"""In which order do an epoch's clips come? From (seed, epoch) alone, so that arms of one seed see the same."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from agrm_study.training.generators import generator

Ints = NDArray[np.int64]


def labelled_batches(seed: int, epoch: int, clips: int, batch: int) -> list[Ints]:
    """Every clip once, in ⌈clips / batch⌉ batches whose sizes differ by one at most.

    (A rest of one clip would be a batch of its own, with statistics that batch norm cannot use.)
    """
    order_N = generator(seed, "order", epoch).permutation(clips)
    return np.array_split(order_N, math.ceil(clips / batch))


def unlabelled_batches(seed: int, epoch: int, clips: int, open_ids: Ints, batch: int, steps: int) -> list[Ints]:
    """Batches for each step, cycling through the open clips in a new order each time.

    Args:
        seed: Seed of the trial.
        epoch: From 1.
        clips: Unlabelled clips of the part, open or not: what the order is drawn for.
        open_ids: Clips that are still unlabelled, at least one.
        batch: Clips of a batch; more than there are makes a batch of all of them, each once.
        steps: Batches wanted.
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
