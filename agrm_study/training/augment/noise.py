"""Where does Gaussian noise come from? From a bank that is drawn once a trial."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from agrm_study.training.generators import generator

BANK = 1 << 18
"""Smallest number of values in a bank; this many stay in a core's cache."""


class NoiseBank:
    """Standard normal numbers, drawn once with numpy from (seed, "noise bank") and read at random offsets.

    Each frame reads a run of its own, so that noise differs from frame to frame and costs a copy instead of a draw. The
    same numbers serve every device. The bank holds at least eight frames, so two runs seldom overlap at the same place.

    Args:
        seed: Seed of the trial.
        run: Values of a frame (3 · size · size).
        device: Where the clips are.
    """

    def __init__(self, seed: int, run: int, device: torch.device | str = "cpu") -> None:
        values = generator(seed, "noise bank").standard_normal(max(BANK, 8 * run) + run, dtype=np.float32)
        self.run = run
        self.offsets = len(values) - run
        self._runs = torch.from_numpy(values).to(device).unfold(0, run, 1)

    def read(self, offsets_F: Tensor) -> Tensor:
        """(F, run) values, one run a frame, that start at the offsets (int64, on the bank's device)."""
        return self._runs.index_select(0, offsets_F)
