"""Summary of a run: counts, failures, exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agrm_study.execution.dispatch.budget import Limit
from agrm_study.execution.progress.state import StudyProgress
from agrm_study.execution.progress.trial_progress import TrialProgress, time_left_s
from agrm_study.execution.progress.wording import duration, hours_words, rough
from agrm_study.execution.results_folder.usage import Used
from agrm_study.execution.trial.failures import DETERMINISTIC
from agrm_study.study.counted import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTrial:
    """A trial whose last attempt failed."""

    trial_id: str
    arm: str
    task: str
    seed: int
    failure: str
    error: str
    fold: int | None = None
    repeat: int = 0

    @classmethod
    def of(cls, trial: TrialProgress) -> FailedTrial:
        """The failure of a trial."""
        return cls(**trial.shared_with(cls) | {"failure": trial.failure or "bug", "error": trial.reason or ""})

    @property
    def heals(self) -> bool:
        """Whether the next run retries it automatically."""
        return self.failure not in DETERMINISTIC


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Outcome of a run.

    Attributes:
        failed: Trials that failed, in this run or before.
        held: Trials that were not started because their arm, or their search, keeps failing in the same way.
        unfinished: Trials without a record; the next run resumes them.
        diverged: Search trials whose loss became infinite or NaN. This is a valid result for their settings: the
            study counts as complete.
        inherited: Number of epochs that its trials inherited from other trials instead of training them.
        error: The error that ended the run after trials had run; empty if it completed normally.
        nothing_promoted: Whether its search ended without a point to promote; the study is then incomplete.
        limit: The limit that ended the run: ``time`` (`Limits.time_s`) or ``gpu_hours``.
        saved: Unfinished trials whose state is saved: the next run resumes them.
        left_s: Expected seconds to run the unfinished trials sequentially; ``None`` if nothing was measured.
        used: CPU and GPU time of all runs of the results folder, including failed attempts.
        elsewhere: Unfinished trials that other joined runs were executing when this run ended.
        reports: Whether this run writes the report; exactly one of several joined runs does.
    """

    study: str
    results: str
    total: int
    before: int
    finished: int
    failed: tuple[FailedTrial, ...]
    held: int
    unfinished: int
    interrupted: bool
    wall_s: float
    messages: tuple[str, ...] = ()
    diverged: int = 0
    inherited: int = 0
    error: str = ""
    nothing_promoted: bool = False
    limit: Limit | None = None
    saved: int = 0
    left_s: float | None = None
    used: Used = field(default_factory=Used)
    elsewhere: int = 0
    reports: bool = True

    @classmethod
    def of(
        cls, study: str, results: str, parts: Sequence[StudyProgress], *, pending: int, interrupted: bool, **rest: Any
    ) -> RunSummary:
        """The summary of a run.

        Args:
            pending: Trials of a phase that was not reached.
            interrupted: Whether a user or a signal stopped it.
        """
        counts = [part.counts() for part in parts]
        held_back = any(part.held_back for part in parts)
        trials = [(part, trial) for part in parts for trial in part.trials.values()]
        finished = [trial.in_this_run for _, trial in trials if trial.state == "finished"]
        failed = [(part, trial) for part, trial in trials if trial.state == "failed"]
        to_draw = sum(part.to_draw or 0 for part in parts) + pending
        now = parts[-1].clock() if parts else 0.0
        return cls(
            study=study,
            results=results,
            total=sum(count.total for count in counts) + pending,
            before=len(finished) - sum(finished),
            finished=sum(finished),
            failed=tuple(FailedTrial.of(trial) for _, trial in failed),
            held=sum(count.held for count in counts) + (pending if held_back else 0),
            unfinished=sum(count.left for count in counts) + (0 if held_back else pending),
            diverged=sum(part.to_draw is not None and trial.failure == "nan_loss" for part, trial in failed),
            interrupted=interrupted,
            inherited=sum(part.inherited for part in parts),
            saved=sum(trial.state == "waiting" and trial.epoch > 0 for _, trial in trials),
            left_s=time_left_s([trial for _, trial in trials], now=now, slots=1, to_draw=to_draw),
            **rest,
        )

    @property
    def exit_code(self) -> int:
        """0 if the study is complete, 1 if not, 130 if the run was stopped; the same command resumes a stopped run."""
        if self.interrupted:
            return 130
        complete = self.before + self.finished + self.diverged + self.elsewhere == self.total
        if self.unfinished > self.elsewhere and self.limit == "time":
            return 130
        return 0 if complete and not self.error and not self.nothing_promoted else 1

    @property
    def left(self) -> str:
        """The remaining work after a limit ended the run, and how to finish it; empty if no limit ended it."""
        number = self.unfinished - self.elsewhere
        if self.limit is None or self.interrupted or not number:
            return ""
        saved = f", {self.saved} of them saved partway" if self.saved else ""
        hours = "" if self.left_s is None else f", {rough(self.left_s)} of slot time"
        words = f"{counted(number, 'trial')} left{saved}{hours}"
        if self.limit == "time":
            return f"The time limit of this run has been reached: {words}. The same command resumes them."
        return f"The GPU-hours are used up ({hours_words(self.used)}): {words}. Resume with a larger --gpu-hours."

    @property
    def sentence(self) -> str:
        """Outcome of the run, in one line."""
        limit = self.limit if self.left else None
        ended = {"time": ", time limit reached", "gpu_hours": ", GPU-hours used up", None: ""}[limit]
        end = ", interrupted" if self.interrupted else ended
        return (
            f"{self.study}: {self.before + self.finished} of {self.total} trials finished"
            f" ({self.finished} in this run, {duration(self.wall_s)}{end})"
            + (f", {len(self.failed)} failed" if self.failed else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain JSON values."""
        return asdict(self) | {"exit_code": self.exit_code, "used": self.used.to_dict()}
