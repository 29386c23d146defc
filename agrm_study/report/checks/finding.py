"""A fault in the evidence: what it concerns, which rule it breaks, and whether it refuses or marks a number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["refuse", "mark"]
"""``refuse`` leaves what the finding concerns out of every number; ``mark`` keeps it and lists the finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault.

    Attributes:
        where: The file or the record.
        rule: The rule it breaks, with the values found.
        severity: Whether numbers are refused or marked.
        trial_id: The trial, where the fault concerns one.
        arm: Its arm.
        task: Its task.
        seed: Its seed.
        subject: The subject, where the fault concerns one.
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
    """Trials that a finding leaves out of every number."""
    return frozenset(f.trial_id for f in findings if f.severity == "refuse" and f.trial_id is not None)


def some(items: list[str], most: int = 3) -> str:
    """The first few items and how many more there are."""
    shown = ", ".join(items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
