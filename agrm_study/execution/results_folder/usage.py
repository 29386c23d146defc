"""CPU and GPU time used by all attempts of a study's trials, including failed attempts, stored in ``.run/usage``.

Each run writes one small file (`UsageMeter`), so that runs that share a results folder do not interfere with each
other. An attempt counts from the start of its worker to its end, with the CPUs and the GPU share allocated to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.study.resources import Resources

FOLDER: Final = ".run/usage"
Sum = Annotated[float, Field(ge=0, lt=1e15, allow_inf_nan=False)]
"""Seconds, summed over processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """CPU-core seconds and GPU seconds."""

    cpu_s: Sum = 0.0
    gpu_s: Sum = 0.0

    def __add__(self, other: Used) -> Used:
        return Used(cpu_s=self.cpu_s + other.cpu_s, gpu_s=self.gpu_s + other.gpu_s)

    @property
    def cpu_hours(self) -> float:
        """CPU-core hours."""
        return self.cpu_s / 3600

    @property
    def gpu_hours(self) -> float:
        """GPU-hours; a trial on half a GPU uses half a GPU-hour per hour."""
        return self.gpu_s / 3600

    def to_dict(self) -> dict[str, float]:
        """CPU-hours and GPU-hours as JSON values."""
        return {"cpu_hours": self.cpu_hours, "gpu_hours": self.gpu_hours}


def read_used(results: Location, resources: Resources, states: Mapping[str, TrialState] | None = None) -> Used:
    """CPU and GPU time that the trials of a results folder have used.

    For folders written by versions without usage files, usage is computed from the records, for the attempts that led
    to each outcome.

    Args:
        states: Recorded trials of the folder, if they are known.
    """
    files = (results / FOLDER).children(".json")
    return sum_of_files(files) if files else recorded_use(results, resources, states)


def recorded_use(results: Location, resources: Resources, states: Mapping[str, TrialState] | None = None) -> Used:
    """The time of the attempts that led to each recorded outcome; arguments as for `read_used`."""
    states = Ledger(results).states() if states is None else states
    seconds = sum(state.wall_s or 0.0 for state in states.values())
    gpu = 1.0 if resources.gpu == "auto" else resources.gpu
    return Used(cpu_s=seconds * resources.cpu, gpu_s=seconds * gpu)


def sum_of_files(files: Iterable[Location]) -> Used:
    """The sum of the given usage files; damaged files are skipped."""
    found = (read_typed(Used, file) for file in files)
    return sum((used for used in found if used is not None), Used())
