"""Measurement of the duration of a training step and the size of the network.

Steps of a recipe are timed on random clips after one warm-up step. On a CPU, large batches are reduced to a few clips
and the duration is scaled up, because it is proportional to the number of clips.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from agrm_study.study.recipe import Recipe
from agrm_study.training.rehearsal import Rehearsal

STEPS: Final = 3
"""Maximum number of timed steps."""
BUDGET_S: Final = 30.0
"""Seconds after which no further steps are timed."""
CPU_CLIPS: Final = 4
"""Maximum number of clips per batch on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Measured durations of a recipe, scaled to its batch sizes.

    Attributes:
        supervised: Durations of steps without unlabelled clips, in seconds.
        full: Durations of steps with unlabelled clips, in seconds; empty for methods without unlabelled clips.
        window: Durations of the evaluation of one window with one network, in seconds.
        network_bytes: Size of a network's weights and buffers, in bytes.
    """

    supervised: tuple[float, ...]
    full: tuple[float, ...]
    window: tuple[float, ...]
    network_bytes: int


def step_time(recipe: Recipe, device: str, *, clock: Callable[[], float] = time.perf_counter) -> StepTime:
    """Time the steps of a recipe.

    Args:
        recipe: All settings of the trial.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        clock: Monotonic clock, in seconds.

    Raises:
        DeviceMemoryError: If the device has too little memory for a step.
        InputError: If recipe and device are incompatible.
    """
    batch, small = recipe.batch, recipe
    if device == "cpu":
        few = {"labelled": min(batch.labelled, CPU_CLIPS), "unlabelled": min(batch.unlabelled, CPU_CLIPS)}
        few["accumulate"] = min(batch.accumulate, few["labelled"])
        windows = min(recipe.evaluate.batch, CPU_CLIPS)
        small = recipe.model_copy(
            update={
                "batch": batch.model_copy(update=few),
                "evaluate": recipe.evaluate.model_copy(update={"batch": windows}),
            }
        )
    rehearsal = Rehearsal(small, device, compiled=True)
    place = rehearsal.device

    def timed(call: Callable[[], None], scale: float) -> tuple[float, ...]:
        found: list[float] = []
        began = clock()
        for _ in range(1 + STEPS):
            started = clock()
            call()
            if place.is_cuda:
                torch.cuda.synchronize(place.torch)
            found.append((clock() - started) * scale)
            if len(found) > 1 and clock() - began > BUDGET_S:
                break
        return tuple(found[1:])

    labelled = batch.labelled / small.batch.labelled
    with place.session(1):
        supervised = timed(lambda: rehearsal.step(unlabelled=False), labelled)
        full: tuple[float, ...] = ()
        if recipe.uses_unlabelled:
            scale = max(labelled, batch.unlabelled / small.batch.unlabelled)
            full = timed(lambda: rehearsal.step(unlabelled=True), scale)
        window = timed(rehearsal.evaluate, 1 / small.evaluate.batch)
    state = rehearsal.student.state_dict().values()
    return StepTime(
        supervised=supervised,
        full=full,
        window=window,
        network_bytes=sum(tensor.numel() * tensor.element_size() for tensor in state),
    )
