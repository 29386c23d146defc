"""Summary of a run: counts, failures, exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agrm_study.execution.progress.state import StudyProgress
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


def summarise(
    study: str,
    results: str,
    parts: Sequence[StudyProgress],
    *,
    interrupted: bool,
    wall_s: float,
    messages: Sequence[str],
    pending: int = 0,
    nothing_promoted: bool = False,
) -> RunSummary:
    """The summary of a run that has ended; `pending` trials belong to a phase that was not reached."""
    counts = [part.counts() for part in parts]
    held_back = any(part.held_back for part in parts)
    trials = [(part, trial) for part in parts for trial in part.trials.values()]
    finished = [trial.in_this_run for _, trial in trials if trial.state == "finished"]
    failed = [(part, trial) for part, trial in trials if trial.state == "failed"]
    diverged = [trial for part, trial in failed if part.to_draw is not None and trial.failure == "nan_loss"]
    return RunSummary(
        study=study,
        results=results,
        total=sum(count.total for count in counts) + pending,
        before=len(finished) - sum(finished),
        finished=sum(finished),
        failed=tuple(_failed(trial) for _, trial in failed),
        held=sum(count.held for count in counts) + (pending if held_back else 0),
        unfinished=sum(count.left for count in counts) + (0 if held_back else pending),
        diverged=len(diverged),
        interrupted=interrupted,
        wall_s=wall_s,
        messages=tuple(messages),
        inherited=sum(part.inherited for part in parts),
        nothing_promoted=nothing_promoted,
    )


def _failed(trial: TrialProgress) -> FailedTrial:
    return FailedTrial(
        trial_id=trial.trial_id,
        arm=trial.arm,
        task=trial.task,
        seed=trial.seed,
        failure=trial.failure or "bug",
        error=trial.reason or "",
    )
