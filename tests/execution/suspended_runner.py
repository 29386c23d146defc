"""A runner whose training depends on its run, and which can be suspended while it saves its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from scripted_runner import ScriptedRunner

from agrm_study.execution.trial.runner import RunnerContext
from agrm_study.execution.trial.work import Work
from agrm_study.training.outcome import EpochReport


class SuspendedRunner(ScriptedRunner):
    """Two runs that train one trial get different numbers, as on GPUs that round differently.

    Attributes:
        on_save: Called with the run and the epoch before files are saved.
    """

    on_save: ClassVar[Callable[[str, int], None]] = staticmethod(lambda run, epoch: None)

    def start(self, work: Work, context: RunnerContext) -> int:
        self.run = context.settings.run
        return super().start(work, context)

    def run_epoch(self) -> EpochReport:
        self.state += self.run
        return super().run_epoch()

    def save(self) -> None:
        type(self).on_save(self.run, self.epoch)
        super().save()
