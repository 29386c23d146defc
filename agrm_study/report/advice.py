"""Advice on narrowing an interval: more seeds, more test subjects, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agrm_study.report.measure import Measurements
from agrm_study.report.wording import listing, percent
from agrm_study.statistics.two_way import Components

HELPS = 0.10
"""Minimum relative reduction in the half-width for which more seeds or subjects are recommended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Half-widths of a 95% interval, as fractions: observed, and expected for twice as many seeds, subjects or both.

    Attributes:
        shares: Shares of the variance due to seeds, subjects and their interaction.
        folds: Share of the variance due to folds; 0 for a single split.
    """

    shares: tuple[float, float, float]
    folds: float
    now: float
    more_seeds: float
    more_subjects: float
    more_of_both: float

    @property
    def advice(self) -> str:
        """Advice on narrowing the interval, as a clause."""
        seeds, subjects = (1 - x / self.now >= HELPS for x in (self.more_seeds, self.more_subjects))
        if seeds and subjects:
            return "more seeds and more test subjects would each narrow this"
        if subjects:
            return "more test subjects would narrow this, more seeds would have little effect"
        if seeds:
            return "more seeds would narrow this, more test subjects would have little effect"
        return "only more seeds and more test subjects together would narrow this"


def outlook(c: Components | None) -> Outlook | None:
    """The `Outlook` for a mean or contrast; None if variance components are unavailable or all zero."""
    if c is None or not float(c.variance) > 0:
        return None
    return Outlook(
        shares=tuple(float(s) for s in c.shares),  # type: ignore[arg-type]
        folds=float(c.fold_share) if c.n_folds > 1 else 0.0,
        now=float(c.half_width()),
        more_seeds=float(c.projected(seeds=2).half_width()),
        more_subjects=float(c.projected(subjects=2).half_width()),
        more_of_both=float(c.projected(seeds=2, subjects=2).half_width()),
    )


def differences(m: Measurements, task: str) -> Mapping[str, Outlook]:
    """The `Outlook` for each arm's difference from the reference on a task."""
    found = {}
    for (arm, t), c in m.compared().items():
        known = outlook(c.difference.components) if t == task and c.difference is not None else None
        if known is not None:
            found[arm] = known
    return found


def sentence(found: Mapping[str, Outlook], most: int = 6) -> str | None:
    """Advice for the differences of these arms, grouping arms with the same advice; None for an empty mapping."""
    by_advice: dict[str, list[str]] = {}
    for arm, o in found.items():
        by_advice.setdefault(o.advice, []).append(arm)
    said = []
    for advice, arms in by_advice.items():
        widest = max((found[a] for a in arms), key=lambda o: o.now)
        named = arms if len(arms) <= most else [*arms[:most], f"{len(arms) - most} more"]
        doubled = f"±{percent(widest.more_seeds)} with twice the seeds, ±{percent(widest.more_subjects)} with twice the"
        said.append(f"{listing(named)}: {advice} (±{percent(widest.now)} points now, {doubled} subjects)")
    return "; ".join(said) if said else None
