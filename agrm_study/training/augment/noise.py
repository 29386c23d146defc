"""Gaussian noise from a bank of values that is sampled once per trial."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agrm_study.training.generators import generator

BANK = 1 << 18
"""Minimum number of values in a bank, chosen to fit in a core's cache."""


class NoiseBank:
    """Standard normal values, sampled once from the numpy stream (seed, "noise bank") and read at random offsets.

    Each frame reads a run of consecutive values at a different offset, so that noise differs between frames but is only
    copied, not sampled. The values are the same on every device. The bank contains values for at least eight frames, so
    that equal offsets are rare.

    Args:
        seed: Seed of the trial.
        run: Number of values per frame (3 · size · size).
        device: Device of the clips.
    """

    def __init__(self, seed: int, run: int, device: torch.device | str = "cpu") -> None:
        values = generator(seed, "noise bank").standard_normal(max(BANK, 8 * run) + run, dtype=np.float32)
        self.run = run
        self.offsets = len(values) - run
        self._runs = torch.from_numpy(values).to(device).unfold(0, run, 1)

    def read(self, offsets_F: Tensor) -> Tensor:
        """Runs of values (F, run), one per frame, starting at the given offsets (int64, on the bank's device)."""
        return self._runs.index_select(0, offsets_F)
