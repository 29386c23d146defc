"""Blocking calls to operations in a driver process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from agrm_study.execution.driver.child_process import ORDERLY_S, DriverProcess
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.protocol import Job, Result
from agrm_study.execution.fitness.finding import Finding, problem
from agrm_study.execution.resources.capacity import Placement
from agrm_study.execution.resources.gpu_share import Measure, Measured
from agrm_study.study.parts.loaded import portable_sources
from agrm_study.study.recipe import Recipe

MEASURE: Final = "agrm_study.execution.resources.gpu_share:measure_here"
"""``module:function`` that measures training steps on a GPU."""


def call(
    operation: str,
    arguments: Mapping[str, Any],
    *,
    tick: Callable[[], None] = lambda: None,
) -> Any:
    """Runs an operation in a driver process and returns its result.

    Args:
        operation: Name of the operation in `child.OPERATIONS`.
        arguments: Arguments of the operation, as JSON values.
        tick: Called several times a second; may raise to abort.

    Raises:
        InputError: If the operation raised it.
        ExecutionLost: If the operation could not be completed.
    """
    with DriverProcess(Job(operation, arguments)) as process:
        while not isinstance(message := process.next(0.1), Result):
            tick()
        process.end(patience_s=ORDERLY_S)
        return message.value


def measure_on_ray(placement: Placement, *, tick: Callable[[], None]) -> Measure:
    """Measures training steps in a Ray task with exclusive use of one GPU.

    Args:
        placement: Placement of one trial, with a whole GPU.
        tick: Called while the task runs; may raise to abort.
    """

    def measure(wanted: Mapping[str, Recipe], known: Sequence[Measured]) -> Measured:
        arguments = {
            "placement": asdict(placement),
            "recipes": {kind: recipe.model_dump_json() for kind, recipe in wanted.items()},
            "known": [asdict(each) for each in known],
            "measure": MEASURE,
            "parts": portable_sources(),
        }
        return Measured(**call("measure", arguments, tick=tick))

    return measure


def ray_findings(address: str | None, results: str) -> list[Finding]:
    """Findings of `doctor` about Ray on this machine or on a cluster.

    Args:
        address: Address of a cluster; ``None`` starts Ray on this machine.
        results: Results folder (or URI) that every node must be able to read and write.
    """
    try:
        return [Finding(**fields) for fields in call("doctor", {"address": address, "results": results})]
    except ExecutionLost as lost:
        advice = "Check the free memory and the free space in the temporary folder."
        return [problem("ray", f"does not start ({lost})", advice)]
