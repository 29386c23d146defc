"""One invocation of `run` or `evaluate`: its study, results, backend and user interface."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from agrm_study.execution.backend import Backend
from agrm_study.execution.data.prepare import Step
from agrm_study.execution.interrupt import Interrupt
from agrm_study.execution.progress.view import View
from agrm_study.execution.results_folder.leases import Leases
from agrm_study.records.location import Location
from agrm_study.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """Values that all parts of an invocation share.

    Attributes:
        results: Folder to which the records are written.
        leases: Claims of a joined run; None for a run that uses the results folder exclusively.
        began: Start of the run on the monotonic clock.
        messages: Messages that were shown to the user.
    """

    study: Study
    backend: Backend
    results: Location
    interrupt: Interrupt
    view: View
    leases: Leases | None = None
    began: float = field(default_factory=time.monotonic)
    messages: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Shows a message to the user."""
        self.messages.append(text)
        self.view.message(text)

    def step(self, step: Step) -> None:
        """Shows a step of the preparation; raises `KeyboardInterrupt` if a stop was requested."""
        self.view.step(step)
        if self.interrupt.requested:
            raise KeyboardInterrupt
