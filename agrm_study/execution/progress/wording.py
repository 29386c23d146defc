"""Formatting of durations, trial names and failures as text."""

from __future__ import annotations

from typing import Protocol

from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.results_folder.usage import Used
from agrm_study.execution.trial.failures import MEANING
from agrm_study.study.tasks import task_words


def duration(seconds: float) -> str:
    """A duration in its two largest units: ``8 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 d 4 h``."""
    seconds = max(0.0, seconds)
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rough(seconds: float) -> str:
    """An estimated duration: ``less than a minute``, ``about 19 min``, ``about 2 h 30 min``."""
    minutes = max(0.0, seconds) / 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"about {round(minutes)} min"
    hours, rest = divmod(round(minutes / 10) * 10, 60)
    if hours < 24:
        return f"about {hours} h {rest:02d} min"
    return f"about {round(minutes / 60 / 24 * 10) / 10:g} days"


def hours_words(used: Used) -> str:
    """Resources used by trials: ``12.3 GPU-hours``, or CPU-hours if no trial used a GPU."""
    hours, unit = (used.gpu_hours, "GPU-hours") if used.gpu_s else (used.cpu_hours, "CPU-hours")
    return f"{hours:.2g} {unit}" if hours < 1 else f"{hours:,.1f} {unit}"


def trial_name(trial: TrialProgress, progress: StudyProgress) -> str:
    """Arm, task (if the study has several), seed and fold."""
    parts = [trial.arm]
    if len(progress.tasks) > 1:
        parts.append(task_words(trial.task))
    if progress.to_draw is None:
        parts.append(replicate_words(trial))
    return " · ".join(parts)


class Replicate(Protocol):
    """A trial as a replicate of an arm."""

    @property
    def seed(self) -> int:
        """Training seed."""

    @property
    def fold(self) -> int | None:
        """Fold used as the test part; None in a study with a single split."""

    @property
    def repeat(self) -> int:
        """Index of the cross-validation repeat."""


def replicate_words(trial: Replicate) -> str:
    """Seed of a trial, with its fold in a study with folds."""
    if trial.fold is None:
        return f"seed {trial.seed}"
    again = f", repeat {trial.repeat}" if trial.repeat else ""
    return f"seed {trial.seed}{again}, fold {trial.fold}"


def failure_words(kind: str | None, error: str | None) -> str:
    """Description of a failure: its class, the meaning of the class, and the message."""
    meaning = MEANING.get(kind, "")  # type: ignore[call-overload]
    words = f"{kind}: {meaning}" if meaning else str(kind)
    return f"{words} ({error})" if error else words


def best_words(progress: StudyProgress) -> list[str]:
    """The best result of a search so far; empty if no trial has finished or there is no search."""
    if progress.to_draw is None:
        return []
    return [f"best {progress.metric} {trial.metric:.3f} ({trial.arm})" for trial in progress.best()]
