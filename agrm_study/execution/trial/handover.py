"""Stages that a trial inherits from, or saves for, trials that share its first epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agrm_study.execution.trial.runner import TrialRunner
from agrm_study.execution.trial.stage_store import StageFacts, StageStore
from agrm_study.execution.trial.work import Work
from agrm_study.records.patience import retry_storage
from agrm_study.training.failures import CheckpointError


@dataclass(frozen=True, slots=True)
class Handover:
    """The stages of a running trial.

    Attributes:
        work: The trial; its `stages` are those that it may inherit or save.
        code_version: Version of the code that runs it; a trial uses a single version.
        check: Called before a stage is saved; may raise.
    """

    store: StageStore
    work: Work
    runner: TrialRunner
    code_version: str
    check: Callable[[], None] = lambda: None

    def load(self, done: int) -> StageFacts | None:
        """Resumes the trial from the longest saved stage that extends beyond the epochs it has done.

        A stage that cannot be read is removed, and the next shorter one is tried.
        """
        for end in reversed(self.work.stages):
            facts = retry_storage(lambda key=end.key: self.store.find(key))  # type: ignore[misc]
            if facts is None or facts.code_version != self.code_version or facts.epoch <= done:
                continue
            if retry_storage(lambda key=end.key: self._read(key)):  # type: ignore[misc]
                return facts
            self.store.drop(end.key)
        return None

    def _read(self, key: str) -> bool:
        """Loads a stage; returns whether that succeeded."""
        try:
            with self.store.opened(key) as folder:
                return self.runner.load_stage(folder, key) > 0
        except CheckpointError:
            return False

    def save(self, epoch: int, wall_s: float, *, over: bool) -> tuple[str, str]:
        """Saves the trial's state if one of its stages ends here.

        A training that stops early does so for every trial that shares the stage it is in: its last state is that
        stage's end.

        Returns:
            The stage whose state is now saved, and why its state could not be saved; each empty otherwise.
        """
        end = next((end for end in self.work.stages if end.last >= epoch), None)
        if end is None or (epoch < end.last and not over):
            return "", ""
        self.check()
        facts = StageFacts(key=end.key, epoch=epoch, wall_s=wall_s, code_version=self.code_version)
        try:
            if not self.store.exists(end.key):
                retry_storage(lambda: self.store.put(facts, lambda folder: self.runner.save_stage(folder, end.key)))
        except Exception as error:  # costs other trials some epochs and is reported; this trial is unaffected
            return "", f"{type(error).__name__}: {error}"
        return end.key, ""
