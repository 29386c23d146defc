"""Measurement of training steps in a Ray task with a GPU of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.resources.capacity import Resources
from agrm_study.execution.resources.gpu_share import Measured
from agrm_study.study.parts.loaded import offer_portable
from agrm_study.study.recipe import Recipe


def measure_on_ray(
    address: str | None,
    resources: Resources,
    *,
    grows: bool,
    recipes: Mapping[str, str],
    known: Sequence[Mapping[str, Any]],
    measure: str,
    parts: Sequence[str],
    tick: Callable[[], None],
) -> Measured:
    """Measures within a Ray task on a GPU of the cluster, or of this machine.

    Args:
        address: A cluster; ``None`` for a Ray of this machine.
        resources: Resources of a trial, with a whole GPU.
        grows: Whether an autoscaler provides the GPU.
        recipes: JSON of a recipe by kind of step.
        known: Fields of earlier measurements.
        measure: ``module:function`` that the task calls.
        parts: Sources of the study's own parts (`portable_sources`).
        tick: Called while the task runs.

    Raises:
        ExecutionLost: When nothing could be measured.
    """
    with ray_session(address, resources, 1, grows=grows):
        import ray

        needs: dict[str, Any] = {"num_cpus": resources.cpu, "num_gpus": resources.gpu, "max_retries": 0}
        if resources.accelerator:
            needs["accelerator_type"] = resources.accelerator
        task = ray.remote(**needs)(_measured).remote(
            measure, dict(recipes), [dict(each) for each in known], list(parts)
        )
        while not ray.wait([task], timeout=0.5)[0]:
            tick()
        try:
            found: Measured = ray.get(task)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ExecutionLost(f"a training step could not be measured on a GPU ({reason})") from None
        return found


def _measured(
    measure: str, recipes: Mapping[str, str], known: Sequence[Mapping[str, Any]], parts: Sequence[str]
) -> Measured:
    offer_portable(parts)
    module, _, name = measure.partition(":")
    function = getattr(importlib.import_module(module), name)
    found: Measured = function(
        {kind: Recipe.model_validate_json(text) for kind, text in recipes.items()},
        [Measured(**each) for each in known],
    )
    return found
