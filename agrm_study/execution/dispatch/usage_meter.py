"""Measurement of the CPU and GPU time of a run's trials."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from agrm_study.execution.results_folder.usage import FOLDER, Used, recorded_use, sum_of_files
from agrm_study.execution.trial.events import TrialEvent
from agrm_study.records.location import Location
from agrm_study.study.resources import Resources

WRITE_EVERY_S: Final = 30.0
"""Seconds between two writes; a killed run loses at most the usage of this interval."""
READ_EVERY_S: Final = 60.0
"""Seconds between two reads of the usage of other runs of the results folder."""
ENDS: Final = ("finished", "failed", "interrupted", "retried")
"""Kinds of events after which an attempt uses no resources."""


class UsageMeter:
    """Measures the time that the trials of one run use, and adds the usage of other runs of the results folder.

    Attributes:
        gpu: Number of GPUs of a trial whose event does not specify a share.
    """

    def __init__(self, results: Location, resources: Resources, clock: Callable[[], float] = time.monotonic) -> None:
        self._results, self._clock = results, clock
        self._cpu = resources.cpu
        self.gpu = 0.0 if resources.gpu == "auto" else resources.gpu
        self._file = results.anchored() / FOLDER / f"{time.time_ns()}-{secrets.token_hex(4)}.json"
        self._running: dict[str, tuple[float, float]] = {}  # trial → start of its attempt, GPUs
        files = (results / FOLDER).children(".json")
        self._others = sum_of_files(files)
        # The first usage file of a folder includes the usage in the records, which `read_used` then ignores
        self._ended = Used() if files else recorded_use(results, resources)
        self._written = self._read = clock()
        self._changed = False

    def observe(self, event: TrialEvent) -> None:
        """Updates the usage with a trial event."""
        if event.kind in ("started", *ENDS):
            self._end(event.trial_id)
        if event.kind == "started":
            self._running[event.trial_id] = self._clock(), event.gpus or self.gpu
            self._changed = True
        self.refresh()

    def refresh(self) -> None:
        """Writes the usage of this run and reads the usage of other runs, when due."""
        now = self._clock()
        if self._changed and now - self._written >= WRITE_EVERY_S:
            self._write()
        if now - self._read >= READ_EVERY_S:
            self._read = now
            with contextlib.suppress(OSError):
                files = (self._results / FOLDER).children(".json")
                self._others = sum_of_files(file for file in files if file.name != self._file.name)

    def close(self) -> None:
        """Ends the attempts that are still open, and writes the usage."""
        for trial_id in list(self._running):
            self._end(trial_id)
        if self._changed:
            self._write()
        self._changed = False

    @property
    def used(self) -> Used:
        """The time that all runs of the results folder have used."""
        return self._own() + self._others

    def share(self, trial_id: str) -> float:
        """Number of GPUs that a running trial uses."""
        return self._running.get(trial_id, (0.0, self.gpu))[1]

    def _own(self) -> Used:
        now, used = self._clock(), self._ended
        for began, gpu in self._running.values():
            used += Used(cpu_s=(now - began) * self._cpu, gpu_s=(now - began) * gpu)
        return used

    def _end(self, trial_id: str) -> None:
        began, gpu = self._running.pop(trial_id, (self._clock(), 0.0))
        seconds = self._clock() - began
        self._ended += Used(cpu_s=seconds * self._cpu, gpu_s=seconds * gpu)

    def _write(self) -> None:
        self._written = self._clock()
        with contextlib.suppress(OSError):  # the next write includes the same data
            self._file.write_atomic(json.dumps(asdict(self._own())).encode(), durable=False)
