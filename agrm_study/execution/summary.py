"""Summary of a run: counts, failures, exit code."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from agrm_study.execution.progress.trial_progress import TrialProgress
from agrm_study.execution.progress.wording import duration
from agrm_study.execution.trial.failures import DETERMINISTIC


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTrial:
    """A trial whose last attempt failed."""

    trial_id: str
    arm: str
    task: str
    seed: int
    failure: str
    error: str

    @classmethod
    def of(cls, trial: TrialProgress) -> FailedTrial:
        """The failure of a trial."""
        return cls(
            trial_id=trial.trial_id,
            arm=trial.arm,
            task=trial.task,
            seed=trial.seed,
            failure=trial.failure or "bug",
            error=trial.reason or "",
        )

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
        inherited: Epochs that its trials inherited from others instead of training them.
        error: The error that ended the run after trials had run; empty if it completed normally.
        nothing_promoted: Whether its search ended without a point to promote; the study is then incomplete.
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

    @property
    def exit_code(self) -> int:
        """0 all done, 1 incomplete, 130 interrupted."""
        if self.interrupted:
            return 130
        complete = self.before + self.finished + self.diverged == self.total
        return 0 if complete and not self.error and not self.nothing_promoted else 1

    @property
    def sentence(self) -> str:
        """How the run ended, in one line."""
        end = ", interrupted" if self.interrupted else ""
        return (
            f"{self.study}: {self.before + self.finished} of {self.total} trials finished"
            f" ({self.finished} in this run, {duration(self.wall_s)}{end})"
            + (f", {len(self.failed)} failed" if self.failed else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"exit_code": self.exit_code}
