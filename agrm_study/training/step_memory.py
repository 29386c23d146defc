"""How much memory of a GPU does a training step take?

One step of a recipe is made on random clips, without its data: the network, the optimizer's state, the teacher, the
largest batch of the evaluation. What is asked of CUDA is asked through a `Gauge`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from agrm_study.study.recipe import Recipe
from agrm_study.training.rehearsal import Rehearsal

STEPS = 2
"""The optimizer's state is there from the second step on."""


class Gauge(ABC):
    """The memory of one GPU, in bytes."""

    @abstractmethod
    def begin(self) -> None:
        """Peaks count from here; memory that nobody holds is given back first."""

    @abstractmethod
    def peak(self) -> int:
        """Most that tensors and torch's cache held at once since `begin`."""

    @abstractmethod
    def outside(self) -> int:
        """What is taken beside torch's memory: the CUDA context with its kernels, and whatever else is on the GPU."""

    @abstractmethod
    def total(self) -> int:
        """All memory of the GPU."""


class CudaGauge(Gauge):
    """The memory of the current CUDA device."""

    def begin(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        return torch.cuda.max_memory_reserved()

    def outside(self) -> int:
        free, total = torch.cuda.mem_get_info()
        return max(0, total - free - torch.cuda.memory_reserved())

    def total(self) -> int:
        return torch.cuda.mem_get_info()[1]


def step_bytes(recipe: Recipe, device: str, gauge: Gauge) -> int:
    """Memory that a trial of a recipe needs: the peak of its steps and of its evaluation, and the CUDA context.

    Raises:
        DeviceMemoryError: When the GPU is too small for one.
        InputError: When recipe and device do not go together.
    """
    gauge.begin()
    rehearsal = Rehearsal(recipe, device)
    with rehearsal.device.session(1):
        for _ in range(STEPS):
            rehearsal.step(unlabelled=recipe.uses_unlabelled)
        rehearsal.evaluate()
    return gauge.peak() + gauge.outside()
