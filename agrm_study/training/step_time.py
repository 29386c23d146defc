"""How long does a training step take here, and how large is the network?

Steps of a recipe are timed on random clips, after one that only warms up. On a CPU, where a step takes as long as its
clips together, a few clips stand for a large batch.
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
"""Steps that are timed."""
BUDGET_S: Final = 30.0
"""No further step is timed after so many seconds."""
CPU_CLIPS: Final = 4
"""Clips of a batch on a CPU, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """What a recipe showed.

    Attributes:
        supervised: Seconds of steps without unlabelled clips, of the recipe's batch.
        full: Seconds of steps with them; none for a method that uses none.
        window: Seconds that one network takes for one window of the evaluation.
        network_bytes: Size of a network's weights and buffers.
    """

    supervised: tuple[float, ...]
    full: tuple[float, ...]
    window: tuple[float, ...]
    network_bytes: int


def step_time(recipe: Recipe, device: str, *, clock: Callable[[], float] = time.perf_counter) -> StepTime:
    """Time the steps of a recipe.

    Args:
        recipe: Every setting.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        clock: Seconds.

    Raises:
        DeviceMemoryError: When the device is too small for a step.
        InputError: When recipe and device do not go together.
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
