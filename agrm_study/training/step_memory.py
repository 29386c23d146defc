"""Measurement of the GPU memory required by a trial of a recipe.

The measurement runs training steps and an evaluation batch on random clips, with network, teacher and optimizer state.
CUDA's memory statistics are read through a `Gauge`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from agrm_study.study.recipe import Recipe
from agrm_study.training.rehearsal import Rehearsal

STEPS = 2
"""Number of measured steps; the optimizer's state exists from the second step on."""


class Gauge(ABC):
    """Interface for memory statistics of one GPU, in bytes."""

    @abstractmethod
    def begin(self) -> None:
        """Release cached memory and reset the peak."""

    @abstractmethod
    def peak(self) -> int:
        """Peak memory reserved by torch (tensors and cache) since `begin`."""

    @abstractmethod
    def outside(self) -> int:
        """Memory used outside torch: the CUDA context with its kernels, and other processes on the GPU."""

    @abstractmethod
    def total(self) -> int:
        """Total memory of the GPU."""


class CudaGauge(Gauge):
    """Memory statistics of the current CUDA device."""

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
    """GPU memory required by a trial, in bytes: the peak of steps and evaluation, plus the memory outside torch.

    Raises:
        DeviceMemoryError: If the GPU has too little memory for a step.
        InputError: If recipe and device are incompatible.
    """
    gauge.begin()
    rehearsal = Rehearsal(recipe, device)
    with rehearsal.device.session(1):
        for _ in range(STEPS):
            rehearsal.step(unlabelled=recipe.uses_unlabelled)
        rehearsal.evaluate()
    return gauge.peak() + gauge.outside()
