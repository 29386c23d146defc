"""A problem in the evidence: the record, the rule it violates, and whether numbers are excluded or marked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["refuse", "mark"]
"""``refuse`` excludes the affected records from all numbers; ``mark`` keeps them and lists the finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem in the evidence.

    Attributes:
        where: The affected file or record.
        rule: The rule that it violates, with the values found.
        severity: Whether numbers are excluded or marked.
        trial_id: The affected trial, if any.
        arm: Arm of the trial.
        task: The task.
        seed: Seed of the trial.
        subject: The affected subject, if any.
    """

    where: str
    rule: str
    severity: Severity = "refuse"
    trial_id: str | None = None
    arm: str | None = None
    task: str | None = None
    seed: int | None = None
    subject: str | None = None

    def __str__(self) -> str:
        about = [f"trial {self.trial_id}"] if self.trial_id and self.trial_id not in self.where else []
        cell = [str(part) for part in (self.arm, self.task) if part is not None]
        about += [" / ".join([*cell, *([f"seed {self.seed}"] if self.seed is not None else [])])] if cell else []
        return f"{self.where} ({', '.join(about)}): {self.rule}" if about else f"{self.where}: {self.rule}"


def refused_trials(findings: Iterable[Finding]) -> frozenset[str]:
    """Trials that a finding excludes from all numbers."""
    return frozenset(f.trial_id for f in findings if f.severity == "refuse" and f.trial_id is not None)
