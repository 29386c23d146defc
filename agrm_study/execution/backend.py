"""Selection and checks of the backend that runs the trials: this process, a local Ray instance, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from agrm_study.execution.driver.call import call, measure_on_ray
from agrm_study.execution.driver.executor import Executor, InlineExecutor
from agrm_study.execution.driver.ray_executor import RayExecutor
from agrm_study.execution.driver.session import require_local_gpus
from agrm_study.execution.options import RunOptions
from agrm_study.execution.resources.capacity import Placement, Resources
from agrm_study.execution.resources.gpu_share import gpu_share, measured_share
from agrm_study.execution.trial.work import Work
from agrm_study.records.location import Location
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

OPENED: Final = ".run/opened"
"""Test file that a run writes to an object store before any other file, to check that the store is writable."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Execution environment and resources of a run's trials.

    Attributes:
        device: Device of a trial, ``cpu`` or ``cuda``.
        note: Note for the user about the choice of resources; empty if there is none.
        accelerators: Accelerator of each arm's trials, if arms use different accelerators.
    """

    options: RunOptions
    resources: Resources
    device: str
    note: str
    accelerators: Mapping[str, str]

    @classmethod
    def of(cls, study: Study, options: RunOptions) -> Backend:
        """The backend selected by a study and its options; raises `InputError` if they are incompatible."""
        asked = study.resources
        if options.executor == "inline":
            gpu, note = 0.0 if asked.gpu == "auto" else asked.gpu, None
        else:
            if options.address is None and options.device is None:
                require_local_gpus(asked.gpu)
            gpu, note = gpu_share(asked.gpu, options.address)
        if options.autoscale and (options.address is None or options.slots is None):
            raise InputError(
                "`--autoscale` starts nodes for waiting trials and requires `--address` and `--slots`",
                field="--autoscale",
                hint="`--slots N` sets the number of concurrent trials once all nodes have started.",
            )
        if options.limits.gpu_hours is not None and gpu == 0:
            raise InputError(
                "a GPU-hour limit requires trials that use GPUs",
                field="--gpu-hours",
                given=f"resources.gpu: {asked.gpu}",
                hint="`--for 7h30m` limits the duration of a run.",
            )
        resources = Resources(cpu=asked.cpu, gpu=gpu, accelerator=asked.accelerator)
        named = {arm.name: arm.accelerator or asked.accelerator or "" for arm in study.arms}
        differ = gpu > 0 and any(arm.accelerator for arm in study.arms)
        return cls(
            options, resources, options.device or ("cuda" if gpu else "cpu"), note or "", named if differ else {}
        )

    @property
    def placement(self) -> Placement:
        """Placement of the trials with Ray."""
        return Placement(
            address=self.options.address,
            resources=self.resources,
            kinds=tuple(dict.fromkeys(self.accelerators.values())),
            slots=self.options.slots,
            grows=self.options.autoscale,
        )

    def placed(self, works: Sequence[Work]) -> list[Work]:
        """The given trials, each with its arm's accelerator if arms use different ones."""
        return [replace(work, accelerator=self.accelerators.get(work.trial.arm)) for work in works]

    def check(self, results: Location, on_note: Callable[[str], None], on_wait: Callable[[], None]) -> None:
        """Checks the storage and the cluster before any other step; `on_wait`, called during the checks, may raise.

        Raises:
            InputError: If the cluster does not respond, lacks the resources a trial needs and cannot obtain them, or a
                node is unfit.
            OSError: If the object store does not accept writes.
        """
        if not results.is_local:
            (results / OPENED).write_atomic(b"")
            results.mark()
        if self.options.executor == "inline" or self.options.address is None:
            return
        arguments = {
            "placement": asdict(self.placement),
            "results": results.address,
            "on_gpus": self.device == "cuda",
        }
        for note in call("check", arguments, tick=on_wait):
            on_note(note)

    def measured(self, recipes: Sequence[Recipe], results: Location, on_wait: Callable[[], None]) -> Backend:
        """A copy with the GPU share that training steps of the recipes need; unchanged if trials use no GPU on Ray.

        `on_wait`, called during the measurement, may raise to abort. Raises `ExecutionLost` if nothing could be
        measured.
        """
        if self.resources.gpu == 0 or self.options.executor == "inline":
            return self
        measure = measure_on_ray(replace(self.placement, slots=1, kinds=()), tick=on_wait)
        share = measured_share(results, recipes, measure)
        return replace(self, resources=replace(self.resources, gpu=share.gpu), note=share.note)

    def executor(self, data: Mapping[str, int], on_note: Callable[[str], None]) -> Executor:
        """A new executor for trials that read the given data (`Prepared.data`)."""
        if self.options.executor == "inline":
            return InlineExecutor()
        return RayExecutor(self.placement, data=data, retries=self.options.retries, on_note=on_note)
