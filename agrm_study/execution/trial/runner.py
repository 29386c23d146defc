"""Interface of trial runners, which run one trial epoch by epoch."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.training.failures import CheckpointError
from agrm_study.training.outcome import EpochReport, EpochRow, Predictions, TrialOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerContext:
    """Settings shared by all trials, and this trial's local folder for its checkpoint and best weights."""

    settings: WorkerSettings
    checkpoint_dir: Path


class TrialRunner(ABC):
    """Runs one trial; each trial has a new runner, so no state carries over.

    Any method may raise: the worker classifies the exception and records it.
    """

    def fetch(self, work: Work, settings: WorkerSettings) -> str:
        """Copies the trial's data to this node; returns an empty string when the data are available.

        Each call takes a limited time. While copying continues, it returns a description of the operation in progress
        and is called again.
        """
        return ""

    @abstractmethod
    def start(self, work: Work, context: RunnerContext) -> int:
        """Prepares training, from the rolling checkpoint if it exists; returns the checkpoint's epoch, or 0."""

    def load_stage(self, folder: Path, name: str) -> int:
        """Resumes from the state that another trial saved in a folder under a name, instead of the trial's own state.

        Returns the epoch of the state, or 0 if no state was saved. Raises `CheckpointError` if the state is damaged or
        has a different name, or if trials of this kind share no epochs.
        """
        raise CheckpointError(folder, "trials of this kind share no epochs")

    def save_stage(self, folder: Path, name: str) -> None:
        """Writes the state for other trials into a folder, under a name; raises `CheckpointError` like `load_stage`."""
        raise CheckpointError(folder, "trials of this kind share no epochs")

    def rows(self) -> Sequence[EpochRow]:
        """Rows of all completed epochs, including resumed epochs."""
        return ()

    @abstractmethod
    def run_epoch(self) -> EpochReport:
        """Runs one epoch; ``done`` in the report marks the last epoch."""

    @abstractmethod
    def save(self) -> None:
        """Writes the rolling checkpoint after the completed epochs."""

    @abstractmethod
    def outcome(self) -> TrialOutcome:
        """The result, after the last epoch."""

    def predict(self, best_epoch: int) -> Sequence[Predictions]:
        """Predictions of the best weights in the checkpoint folder, without training; called after `start`.

        Returns:
            The predictions of `outcome`; empty if the runner cannot compute them.

        Raises:
            CheckpointError: If the folder has no weights of this trial and epoch.
        """
        return ()

    @abstractmethod
    def close(self) -> None:
        """Releases memory and files; called once, even after a failure or if `start` has not returned."""


def load_runner(name: str) -> TrialRunner:
    """Creates a runner of the class ``module:Class``."""
    module, _, attribute = name.partition(":")
    runner = getattr(importlib.import_module(module), attribute)()
    if not isinstance(runner, TrialRunner):
        raise TypeError(f"a runner must be a TrialRunner; got {name}")
    return runner


class NoopRunner(TrialRunner):
    """A runner whose trials have one epoch and compute nothing, for measuring the orchestration overhead."""

    def start(self, work: Work, context: RunnerContext) -> int:
        return 0

    def run_epoch(self) -> EpochReport:
        return EpochReport(epoch=1, rows=(), done=True)

    def save(self) -> None:
        return None

    def outcome(self) -> TrialOutcome:
        return TrialOutcome(
            stop_reason="epochs", best_epoch=1, epochs=1, n_params=0, class_names=(), rows=(), predictions=()
        )

    def close(self) -> None:
        return None
