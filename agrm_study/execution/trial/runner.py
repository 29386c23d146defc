"""How is one trial run, epoch by epoch, whatever it is that trains?"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.training.outcome import EpochReport, EpochRow, TrialOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerContext:
    """Where a trial runs.

    Attributes:
        settings: What is the same for all trials.
        checkpoint_dir: Local folder for the rolling checkpoint and the best weights; who writes to it makes it.
    """

    settings: WorkerSettings
    checkpoint_dir: Path


class TrialRunner(ABC):
    """Runs one trial; a fresh one is made for each trial, so nothing can leak into the next.

    Any method may raise: the worker classifies the exception and records it.
    """

    def fetch(self, work: Work, settings: WorkerSettings) -> str:
        """Brings what the trial reads to this node, for a moment; called again until it has nothing more to say.

        Returns:
            What is still under way, in words; empty when `start` can be called.
        """
        return ""

    @abstractmethod
    def start(self, work: Work, context: RunnerContext) -> int:
        """Makes ready, from the rolling checkpoint where there is one.

        Returns:
            The epoch that it goes on from, 0 for a fresh start.
        """

    @abstractmethod
    def take_over(self, folder: Path, name: str) -> int:
        """Goes on from the state that another trial has left in a folder under a name, instead of its own.

        Returns:
            The epoch that it goes on from, 0 where nothing was left.

        Raises:
            CheckpointError: When what was left is damaged, or bears another name.
        """

    @abstractmethod
    def leave(self, folder: Path, name: str) -> None:
        """Writes the state for other trials into a folder, under a name."""

    @abstractmethod
    def rows(self) -> Sequence[EpochRow]:
        """Rows of all epochs done, those that it went on from included."""

    @abstractmethod
    def run_epoch(self) -> EpochReport:
        """Runs one epoch; ``done`` in the report says that it was the last."""

    @abstractmethod
    def save(self) -> None:
        """Writes the rolling checkpoint of the epochs done."""

    @abstractmethod
    def outcome(self) -> TrialOutcome:
        """The result, after the last epoch."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of memory and files; called once, also after a failure, and before `start` has returned."""


def load_runner(name: str) -> TrialRunner:
    """A new runner of the class ``module:Class``."""
    module, _, attribute = name.partition(":")
    runner = getattr(importlib.import_module(module), attribute)()
    if not isinstance(runner, TrialRunner):
        raise TypeError(f"a runner must be a TrialRunner; given {name}")
    return runner


class NoopRunner(TrialRunner):
    """A trial of one epoch that computes nothing: what is left is the cost of the orchestration."""

    def start(self, work: Work, context: RunnerContext) -> int:
        return 0

    def take_over(self, folder: Path, name: str) -> int:
        return 0

    def leave(self, folder: Path, name: str) -> None:
        return None

    def rows(self) -> Sequence[EpochRow]:
        return ()

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
