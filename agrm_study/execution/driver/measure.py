"""How is a training step measured on a GPU that Ray has? By a task that has one GPU to itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.session import ray_session
from agrm_study.execution.resources.capacity import Resources
from agrm_study.execution.resources.gpu_share import Measure, Measured, measure_here
from agrm_study.study.recipe import Recipe


def on_ray(
    address: str | None,
    resources: Resources,
    *,
    grows: bool = False,
    tick: Callable[[], None] = lambda: None,
    measure: Measure = measure_here,
) -> Measure:
    """Measures within a Ray task on a GPU of the cluster, or of this machine.

    Args:
        address: A cluster; ``None`` for a Ray of this machine.
        resources: What a trial takes, with a whole GPU.
        grows: Whether an autoscaler brings the GPU.
        tick: Called while the task runs; may raise to give up.
        measure: What the task does.
    """

    def run(wanted: Mapping[str, Recipe], known: Sequence[Measured]) -> Measured:
        import ray

        texts = {kind: recipe.model_dump_json() for kind, recipe in wanted.items()}
        with ray_session(address, resources, 1, grows=grows):
            needs: dict[str, Any] = {"num_cpus": resources.cpu, "num_gpus": resources.gpu, "max_retries": 0}
            if resources.accelerator:
                needs["accelerator_type"] = resources.accelerator
            task = ray.remote(**needs)(_measured).remote(measure, texts, list(known))
            while not ray.wait([task], timeout=0.5)[0]:
                tick()
            try:
                found: Measured = ray.get(task)
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                raise ExecutionLost(f"a training step could not be measured on a GPU ({reason})") from None
            return found

    return run


def _measured(measure: Measure, texts: Mapping[str, str], known: Sequence[Measured]) -> Measured:
    return measure({kind: Recipe.model_validate_json(text) for kind, text in texts.items()}, known)
