"""Measurement of training steps in a Ray task with exclusive use of a GPU."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.resources.capacity import Placement
from agrm_study.execution.resources.gpu_share import Measured
from agrm_study.study.parts.loaded import offer_portable
from agrm_study.study.recipe import Recipe


def measure_in_task(arguments: Mapping[str, Any], tick: Callable[[], None]) -> Measured:
    """Runs the measurement in a Ray task on a GPU of the cluster or of this machine.

    Args:
        arguments: The arguments sent by `call.measure_on_ray`.

    Raises:
        ExecutionLost: If nothing could be measured.
    """
    placement = Placement.of(arguments["placement"])
    with ray_session(placement):
        import ray

        resources = placement.resources
        needs: dict[str, Any] = {"num_cpus": resources.cpu, "num_gpus": resources.gpu, "max_retries": 0}
        if resources.accelerator:
            needs["accelerator_type"] = resources.accelerator
        task = ray.remote(**needs)(_measured).remote(dict(arguments))
        while not ray.wait([task], timeout=0.5)[0]:
            tick()
        try:
            found: Measured = ray.get(task)
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ExecutionLost(f"a training step could not be measured on a GPU ({reason})") from None
        return found


def _measured(arguments: Mapping[str, Any]) -> Measured:
    offer_portable(arguments["parts"])
    module, _, name = arguments["measure"].partition(":")
    found: Measured = getattr(importlib.import_module(module), name)(
        {kind: Recipe.model_validate_json(text) for kind, text in arguments["recipes"].items()},
        [Measured(**each) for each in arguments["known"]],
    )
    return found
