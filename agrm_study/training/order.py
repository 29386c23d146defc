"""Order of clips within an epoch, determined by (seed, epoch), so that arms with the same seed use the same order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.steps import epoch_steps
from agrm_study.training.generators import generator

Ints = NDArray[np.int64]


def labelled_batches(seed: int, epoch: int, clips: int, batch: int, steps: int | None = None) -> list[Ints]:
    """Row indices of each labelled batch in an epoch.

    Without `steps`, every clip occurs once, in ⌈clips / batch⌉ batches of nearly equal size: sizes differ by at most
    one, because a last batch with a single clip would result in unusable batch-norm statistics. With `steps`, batches
    of equal size cycle through the clips, in a new order in each cycle.

    Args:
        seed: Seed of the trial.
        epoch: Epoch number, counted from 1.
        clips: Number of labelled clips, at least one.
        batch: Maximum batch size; limited by the number of clips.
        steps: Number of batches; None for one pass over the clips.
    """
    rng = generator(seed, "order", epoch)
    if steps is None:
        return np.array_split(rng.permutation(clips), epoch_steps(clips, batch))
    return _cycled(rng, np.ones(clips, dtype=bool), min(batch, clips), steps)


def unlabelled_batches(seed: int, epoch: int, clips: int, open_ids: Ints, batch: int, steps: int) -> list[Ints]:
    """Clip ids of each unlabelled batch, cycling through the open (still unlabelled) clips, reordered in each cycle.

    Args:
        seed: Seed of the trial.
        epoch: Epoch number, counted from 1.
        clips: Number of clips in the unlabelled part, over which the order is defined.
        open_ids: Ids of the open clips, at least one.
        batch: Maximum batch size; limited by the number of open clips.
        steps: Number of batches.
    """
    is_open = np.zeros(clips, dtype=bool)
    is_open[open_ids] = True
    return _cycled(generator(seed, "unlabelled", epoch), is_open, min(batch, len(open_ids)), steps)


def _cycled(rng: np.random.Generator, is_open: NDArray[np.bool_], size: int, steps: int) -> list[Ints]:
    """Batches of equal size that cycle through the open clips, in a new order in each cycle."""
    rounds: list[Ints] = []
    while sum(map(len, rounds)) < size * steps:
        order = rng.permutation(len(is_open))
        rounds.append(order[is_open[order]])
    sequence = np.concatenate(rounds)[: size * steps]
    return list(sequence.reshape(steps, size))
