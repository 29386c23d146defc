"""Blocking calls of operations in a driver process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from agrm_study.execution.driver.child_process import ORDERLY_S, DriverProcess
from agrm_study.execution.driver.executor import ExecutionLost
from agrm_study.execution.driver.protocol import Job, Lost, Note, Refused, Result
from agrm_study.execution.fitness.finding import Finding, problem
from agrm_study.execution.resources.capacity import Resources
from agrm_study.execution.resources.gpu_share import Measure, Measured
from agrm_study.study.parts.loaded import portable_sources
from agrm_study.study.recipe import Recipe

SILENT_S: Final = 180.0
"""Seconds without a message after which a driver process counts as hanging."""
MEASURE: Final = "agrm_study.execution.resources.gpu_share:measure_here"
"""``module:function`` that measures training steps on a GPU."""


def call(
    operation: str,
    arguments: Mapping[str, Any],
    *,
    tick: Callable[[], None] = lambda: None,
    on_note: Callable[[Any], None] = lambda value: None,
) -> Any:
    """The result of an operation.

    Args:
        operation: Its name in `operations`.
        arguments: Its arguments, as JSON values.
        tick: Called several times a second; may raise to give up.
        on_note: Receives notes of the operation before its end.

    Raises:
        InputError: The operation raised it.
        ExecutionLost: It could not be completed.
    """
    with DriverProcess(Job(operation, arguments)) as process:
        while process.silent_s < SILENT_S:
            tick()
            try:
                message = process.next(0.1)
            except EOFError:
                raise ExecutionLost(f"the driver process died: {process.why_it_ended()}") from None
            if isinstance(message, Note):
                on_note(message.value)
            elif isinstance(message, Result):
                process.end(patience_s=ORDERLY_S)
                return message.value
            elif isinstance(message, Refused):
                raise message.error()
            elif isinstance(message, Lost):
                raise ExecutionLost(message.reason)
    raise ExecutionLost(f"the driver process did not respond for {SILENT_S:.0f} s")


def measure_on_ray(address: str | None, resources: Resources, *, grows: bool, tick: Callable[[], None]) -> Measure:
    """Measures training steps in a Ray task that has one GPU to itself.

    Args:
        address: A cluster; ``None`` for a Ray of this machine.
        resources: Resources of a trial, with a whole GPU.
        grows: Whether an autoscaler provides the GPU.
        tick: Called while the task runs; may raise to give up.
    """

    def measure(wanted: Mapping[str, Recipe], known: Sequence[Measured]) -> Measured:
        arguments = {
            "address": address,
            "resources": asdict(resources),
            "grows": grows,
            "recipes": {kind: recipe.model_dump_json() for kind, recipe in wanted.items()},
            "known": [asdict(each) for each in known],
            "measure": MEASURE,
            "parts": portable_sources(),
        }
        return Measured(**call("measure", arguments, tick=tick))

    return measure


def ray_findings(address: str | None, results: str) -> Iterator[Finding]:
    """Findings of `doctor` about Ray on this machine or on a cluster.

    Args:
        address: A cluster; ``None`` starts Ray here.
        results: Results folder (or URI) that every node must read and write.
    """
    found: list[Finding] = []
    arguments = {"address": address, "results": results}
    try:
        call("doctor", arguments, on_note=lambda value: found.append(Finding(**value)))
    except ExecutionLost as lost:
        advice = "Is there room in the temporary folder and memory left?"
        found.append(problem("ray", f"does not start ({lost})", advice))
    yield from found
