"""What does each arm score, and how does it differ from the reference? Computed once, read by tables and figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from agrm_study.report.cells import Cell, has_metric
from agrm_study.report.evidence import Evidence
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.bootstrap import (
    RANKING,
    REPLICATES,
    Draws,
    average_seeds,
    percentile_interval,
    replicate,
    replicate_ranking,
    undefined,
)
from agrm_study.statistics.comparison import Difference, Replicated, compare, contrast, daggers, holm, interaction
from agrm_study.statistics.estimators import UNDEFINED, Interval, Summary, seed_interval, summarise

TABLE_METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
"""Metrics of the paper's tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric of one cell.

    Attributes:
        values_S: Metric at each seed.
        summary: n, mean, standard deviation.
        seeds: Student's t interval over seeds (test set fixed).
        interval: Headline interval: two-way bootstrap over seeds and subjects.
        undefined: Replicates without a value.
    """

    values_S: Floats
    summary: Summary
    seeds: Interval
    interval: Interval
    undefined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """An arm against the reference on one task.

    Attributes:
        difference: Δ with interval, p, Welch's p and Hedges g; None when refused or when a side is missing.
        adjusted_p: p after Holm over the family; NaN without one.
        dagger: Whether both tests agree below .05.
        refused: Why there is no Δ.
    """

    difference: Difference | None
    adjusted_p: float = math.nan
    dagger: bool = False
    refused: str | None = None


@dataclass
class Measurements:
    """Metrics and comparisons of a study, computed on demand and kept.

    Args:
        evidence: What is known.
        replicates: B; 0 computes no bootstrap.
        seed: Seed of the draws.
        families: Family name → arms, for Holm; arms that none names form one family. Each task has its own.
        allow: Differences between arm and reference that are accepted (``code``, ``data``, ``split``).
    """

    evidence: Evidence
    replicates: int = REPLICATES
    seed: int = 0
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)
    allow: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._measured: dict[tuple[str, str, str], Measured] = {}
        self._compared: dict[str, dict[tuple[str, str], Compared]] = {}
        self._kept: dict[tuple[str, str, str], Replicated] = {}

    def draws(self, task: str) -> Draws | None:
        """The draws all cells of a task share; None without a bootstrap."""
        cell = next((c for (_, t), c in self.evidence.cells.items() if t == task), None)
        if cell is None or not self.replicates:
            return None
        return Draws(len(cell.subjects), self.replicates, self.seed)

    def cell(self, arm: str, task: str) -> Cell | None:
        """The cell, unless it is missing or refused."""
        cell = self.evidence.cells.get((arm, task))
        return None if cell is None or cell.refused else cell

    def metric(self, arm: str, task: str, metric: str) -> Measured | None:
        """The metric of an arm on a task; None when its cell is missing or refused."""
        cell = self.cell(arm, task)
        if cell is None or not has_metric(metric, len(cell.classes)):
            return None
        if (arm, task, metric) not in self._measured and self.replicates:
            self.compared()  # measures every arm on the way: its replicates are too large to be kept
        if (arm, task, metric) not in self._measured:
            self._measure(cell, {*TABLE_METRICS, metric, self.evidence.study.primary_metric})
        return self._measured[arm, task, metric]

    def undefined(self, arms: Sequence[str], tasks: Sequence[str], metrics: Sequence[str]) -> int:
        """The most replicates without a value among the intervals of these arms, tasks and metrics, and their Δ."""
        found = [self.metric(a, t, k) for a in arms for t in tasks for k in metrics]
        differences = [self.compared().get((a, t)) for a in arms for t in tasks]
        lost = [x.undefined for x in found if x is not None]
        lost += [c.difference.undefined for c in differences if c is not None and c.difference is not None]
        return max(lost, default=0)

    def same_test(self, arms: Sequence[str], task: str) -> bool:
        """Whether the arms that have a cell on a task were tested on the same subjects."""
        return len({c.tested for a in arms if (c := self.cell(a, task)) is not None}) <= 1

    def compared(self, metric: str | None = None) -> Mapping[tuple[str, str], Compared]:
        """Every arm but the reference against the reference, by (arm, task); empty without a reference."""
        metric = metric or self.evidence.study.primary_metric
        if metric not in self._compared:
            self._compared[metric] = self._compare_all(metric)
        return self._compared[metric]

    def interaction(self, arms: Sequence[str], task: str, metric: str | None = None) -> Difference | None:
        """full − w/o A − w/o B + w/o both of four arms, in this order; None when one is missing or refused."""
        metric = metric or self.evidence.study.primary_metric
        cells = [self.cell(a, task) for a in arms]
        if any(c is None for c in cells):
            return None
        reference, *others = [c for c in cells if c is not None]
        if any(self._differs(c, reference) for c in others):
            return None
        full, without_a, without_b, without_both = (
            self._replicated(c, (metric,))[metric] for c in cells if c is not None
        )
        return interaction(full, without_a, without_b, without_both, self.draws(task))

    def average(self, arms: Sequence[str], task: str, metric: str | None = None) -> Difference | None:
        """Mean of several arms with its interval, their subjects and seeds drawn jointly.

        None when an arm is missing, or when the arms were tested on different subjects.
        """
        metric = metric or self.evidence.study.primary_metric
        cells = [c for a in arms if (c := self.cell(a, task)) is not None]
        if not cells or len(cells) < len(arms) or not has_metric(metric, len(cells[0].classes)):
            return None
        if not self.same_test(arms, task):
            return None
        if len(arms) == 1 and (known := self.metric(arms[0], task, metric)) is not None:
            return Difference(
                delta=known.summary.mean,
                interval=known.interval,
                p=math.nan,
                welch_p=math.nan,
                g=math.nan,
                n=known.summary.n,
                paired=True,
                undefined=known.undefined,
            )
        replicated = [self._replicated(c, (metric,))[metric] for c in cells]
        return contrast(replicated, [1 / len(cells)] * len(cells), self.draws(task))

    def difference_of_cells(self, cell: Cell, other: Cell, metric: str | None = None) -> Difference | None:
        """Δ = cell − other of two cells of the same subjects; None where the metric is not defined."""
        metric = metric or self.evidence.study.primary_metric
        if not has_metric(metric, len(cell.classes)) or cell.subjects != other.subjects:
            return None
        ours, theirs = (self._replicated(c, (metric,))[metric] for c in (cell, other))
        draws = Draws(len(cell.subjects), self.replicates, self.seed) if self.replicates else None
        return compare(ours, theirs, draws)

    def family(self, arm: str) -> str:
        """Name of the family that an arm's comparison belongs to."""
        return next((name for name, arms in self.families.items() if arm in arms), "")

    def family_sizes(self, task: str) -> dict[str, int]:
        """Comparisons of each family on a task that have a p value."""
        sizes: dict[str, int] = {}
        for (arm, t), c in self.compared().items():
            if t == task and c.difference is not None and math.isfinite(c.difference.p):
                sizes[self.family(arm)] = sizes.get(self.family(arm), 0) + 1
        return sizes

    def _replicated(self, cell: Cell, metrics: Sequence[str]) -> dict[str, Replicated]:
        draws = self.draws(cell.task)
        per_seed: dict[str, Floats] = {}
        if draws is not None:
            decisions = [m for m in metrics if m not in RANKING]
            rankings = [m for m in metrics if m in RANKING]
            if decisions:
                per_seed |= replicate(cell.labels_N, cell.predicted_SN, len(cell.classes), draws, decisions)
            if rankings:
                per_seed |= replicate_ranking(cell.labels_N == 1, cell.probs_SNK[:, :, 1], draws, rankings)
        return {
            m: Replicated(seeds=cell.seeds, values_S=cell.values(m), replicates_BS=per_seed.get(m)) for m in metrics
        }

    def _measure(self, cell: Cell, metrics: set[str]) -> dict[str, Replicated]:
        """Measures a cell and hands back its replicates, which are too large to keep for every arm."""
        draws = self.draws(cell.task)
        known = sorted(m for m in metrics if has_metric(m, len(cell.classes)))
        replicated = self._replicated(cell, known)
        for name, r in replicated.items():
            interval, missing = UNDEFINED, 0
            if draws is not None and r.replicates_BS is not None:
                averaged = average_seeds(r.replicates_BS, draws.seeds(len(cell.seeds)))
                interval, missing = percentile_interval(averaged), undefined(averaged)
            self._measured[cell.arm, cell.task, name] = Measured(
                values_S=r.values_S,
                summary=summarise(r.values_S),
                seeds=seed_interval(r.values_S),
                interval=interval,
                undefined=missing,
            )
        return replicated

    def _differs(self, cell: Cell, reference: Cell) -> str | None:
        for kind in ("code", "data", "split"):
            if kind not in self.allow and cell.versions[kind] != reference.versions[kind]:
                ours, theirs = ", ".join(cell.versions[kind]), ", ".join(reference.versions[kind])
                return f"{kind} differs from the reference's ({ours} against {theirs})"
        return None

    def _compare_all(self, metric: str) -> dict[tuple[str, str], Compared]:
        study = self.evidence.study
        out: dict[tuple[str, str], Compared] = {}
        if study.reference is None:
            return out
        for task in study.tasks:
            reference = self.cell(study.reference, task)
            base = None
            if reference is not None and has_metric(metric, len(reference.classes)):
                base = self._measure(reference, {*TABLE_METRICS, metric})[metric]
            for arm in (a.name for a in study.arms if a.name != study.reference):
                out[arm, task] = self._compare(arm, task, metric, reference, base)
            self._adjust(out, task)
        return out

    def _compare(self, arm: str, task: str, metric: str, reference: Cell | None, base: Replicated | None) -> Compared:
        cell = self.cell(arm, task)
        if cell is None or reference is None or base is None:
            return Compared(difference=None)
        refused = self._differs(cell, reference)
        if refused:
            return Compared(difference=None, refused=refused)
        replicated = self._measure(cell, {*TABLE_METRICS, metric})[metric]
        return Compared(difference=compare(replicated, base, self.draws(task)))

    def _adjust(self, compared: dict[tuple[str, str], Compared], task: str) -> None:
        """Holm within each family of a task, then the daggers."""
        groups: dict[str, list[str]] = {}
        for (arm, t), c in compared.items():
            if t == task and c.difference is not None:
                groups.setdefault(self.family(arm), []).append(arm)
        for arms in groups.values():
            differences = [d for a in arms if (d := compared[a, task].difference) is not None]
            adjusted = holm([d.p for d in differences])
            marks = daggers(adjusted, np.array([d.welch_p for d in differences]))
            for arm, difference, p, mark in zip(arms, differences, adjusted, marks, strict=True):
                compared[arm, task] = Compared(difference=difference, adjusted_p=float(p), dagger=bool(mark))
