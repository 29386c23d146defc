"""Metrics of each arm and their differences from the reference, computed once for all tables and figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from agrm_study.report.cells import Cell
from agrm_study.report.evaluated import CorruptedCells, ExternalCells, corrupted_cells, external_cells
from agrm_study.report.evidence import Evidence
from agrm_study.report.tuned import TriedSearch, tried_searches
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.classification import Counts
from agrm_study.statistics.comparison import (
    ALPHA,
    Difference,
    Scored,
    compare,
    contrast,
    equivalence_p,
    holm,
    interaction,
    seeds_are_shared,
)
from agrm_study.statistics.estimators import UNDEFINED, Interval, Summary, interval_of, seed_interval, summarise
from agrm_study.statistics.influence import RANKING_INFLUENCE, of_counts, of_decisions
from agrm_study.statistics.two_way import Components, bounded_interval, components, difference_interval
from agrm_study.study.spec import has_metric

TABLE_METRICS = ("accuracy", "macro_precision", "macro_recall", "macro_f1")
"""Metrics in the tables of the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One metric of one cell.

    Attributes:
        values_S: Metric for each seed.
        summary: n, mean, standard deviation.
        seeds: Student's t interval over seeds (test set fixed).
        interval: Headline interval over seeds and subjects; undefined for one seed or zero variance.
        components: Variance of the mean by source; None for one seed.
    """

    values_S: Floats
    summary: Summary
    seeds: Interval
    interval: Interval
    components: Components | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Comparison of an arm with the reference on one task.

    Attributes:
        difference: Δ with interval, p-value and Hedges' g; None if excluded or if either side is missing.
        adjusted_p: Holm-adjusted p-value within the family; NaN if undefined.
        equivalence_p: Holm-adjusted p-value for equivalence within the study's margin; NaN if undefined.
        refused: Reason why there is no Δ, or None.
        same: Whether the arm and the reference share the same training runs, so that there is nothing to compare.
    """

    difference: Difference | None
    adjusted_p: float = math.nan
    equivalence_p: float = math.nan
    refused: str | None = None
    same: bool = False

    @property
    def dagger(self) -> bool:
        """Whether the difference is significant (adjusted p-value below .05)."""
        return self.adjusted_p < ALPHA


@dataclass
class Measurements:
    """Metrics and comparisons of a study, computed on demand and cached.

    Args:
        evidence: The evidence of the study.
        families: Family name → arms, for the Holm correction within each task; unlisted arms form one family.
        allow: Differences accepted between arm and reference (``code``, ``data``, ``split``).
    """

    evidence: Evidence
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)
    allow: Sequence[str] = ()

    def __post_init__(self) -> None:
        self._measured: dict[tuple[str, str, str], Measured] = {}
        self._compared: dict[str, dict[tuple[str, str], Compared]] = {}
        self._paired: dict[tuple[str, str], bool] = {}

    @cached_property
    def external(self) -> tuple[ExternalCells, ...]:
        """The evaluations on external sets."""
        return external_cells(self.evidence)

    @cached_property
    def corrupted(self) -> CorruptedCells | None:
        """The evaluations on corrupted copies of the test part; None if there are none."""
        return corrupted_cells(self.evidence)

    @cached_property
    def tried(self) -> tuple[TriedSearch, ...]:
        """The points tried by the searches of the study."""
        return tried_searches(self.evidence)

    def cell(self, arm: str, task: str) -> Cell | None:
        """The cell, or None if it is missing or excluded."""
        cell = self.evidence.cells.get((arm, task))
        return None if cell is None or cell.refused else cell

    def metric(self, arm: str, task: str, metric: str) -> Measured | None:
        """The metric of an arm on a task; None if its cell is missing or excluded."""
        cell = self.cell(arm, task)
        if cell is None or not has_metric(cell.definition, metric):
            return None
        if (arm, task, metric) not in self._measured:
            wanted = {*TABLE_METRICS, metric, self.evidence.study.primary_metric}
            known = sorted(m for m in wanted if has_metric(cell.definition, m))
            for name, scored in scores(cell, known).items():
                self._measured[arm, task, name] = measured(scored)
        return self._measured[arm, task, metric]

    def same_test(self, arms: Sequence[str], task: str) -> bool:
        """Whether the arms with a cell on a task were tested on the same subjects."""
        return len({c.tested for a in arms if (c := self.cell(a, task)) is not None}) <= 1

    def one_training(self, arms: Sequence[str]) -> bool:
        """Whether all the arms share the same training runs."""
        return len(arms) > 1 and any(set(arms) <= set(group.arms) for group in self.evidence.same)

    def compared(self, metric: str | None = None) -> Mapping[tuple[str, str], Compared]:
        """Comparison of every other arm with the reference, by (arm, task); empty if there is no reference."""
        metric = metric or self.evidence.study.primary_metric
        if metric not in self._compared:
            self._compared[metric] = self._compare_all(metric)
        return self._compared[metric]

    def paired(self, task: str, metric: str | None = None) -> bool:
        """Whether the arms' metrics are correlated over seeds, so that differences are paired by seed.

        Arms whose `seed_offset` differs from that of the reference are ignored, since they have no seeds in common.
        """
        study = self.evidence.study
        metric = metric or study.primary_metric
        if (task, metric) not in self._paired:
            offset = 0 if study.reference is None else study.arm(study.reference).seed_offset
            cells = [c for a in study.arms if a.seed_offset == offset and (c := self.cell(a.name, task)) is not None]
            cells = [c for c in cells if has_metric(c.definition, metric)]
            self._paired[task, metric] = seeds_are_shared(
                [Scored(seeds=c.seeds, values_S=c.values(metric), influence_SN=np.empty((0, 0))) for c in cells]
            )
        return self._paired[task, metric]

    def interaction(self, arms: Sequence[str], task: str, metric: str | None = None) -> Difference | None:
        """Contrast full − w/o A − w/o B + w/o both of four arms, in this order; None if one is missing or excluded."""
        metric = metric or self.evidence.study.primary_metric
        cells = [c for a in arms if (c := self.cell(a, task)) is not None]
        if len(cells) < len(arms) or any(self._differs(c, cells[0]) for c in cells[1:]):
            return None
        full, without_a, without_b, without_both = (scores(c, (metric,))[metric] for c in cells)
        return interaction(full, without_a, without_b, without_both, paired=self.paired(task, metric))

    def average(self, arms: Sequence[str], task: str, metric: str | None = None) -> Difference | None:
        """Mean of several arms with its interval over their common seeds and subjects.

        None if an arm is missing, or if the arms were tested on different subjects.
        """
        metric = metric or self.evidence.study.primary_metric
        cells = [c for a in arms if (c := self.cell(a, task)) is not None]
        if not cells or len(cells) < len(arms) or not has_metric(cells[0].definition, metric):
            return None
        if not self.same_test(arms, task):
            return None
        found = contrast([scores(c, (metric,))[metric] for c in cells], [1 / len(cells)] * len(cells), paired=True)
        interval = bounded(found.delta, found.components)
        return replace(found, interval=interval, p=math.nan)

    def difference_of_cells(self, cell: Cell, other: Cell, metric: str | None = None) -> Difference | None:
        """Δ = cell − other for two cells with the same trials and subjects; None if the metric is undefined."""
        metric = metric or self.evidence.study.primary_metric
        if not has_metric(cell.definition, metric) or cell.subjects != other.subjects:
            return None
        ours, theirs = (scores(c, (metric,))[metric] for c in (cell, other))
        return compare(ours, theirs, paired=True)

    def family(self, arm: str) -> str:
        """Name of the family of an arm's comparison."""
        return next((name for name, arms in self.families.items() if arm in arms), "")

    def family_sizes(self, task: str) -> dict[str, int]:
        """Number of comparisons with a p-value in each family on a task; arms with shared training runs count once."""
        found: dict[str, set[str]] = {}
        for (arm, t), c in self.compared().items():
            if t == task and c.difference is not None and math.isfinite(c.difference.p):
                found.setdefault(self.family(arm), set()).add(self.training(arm))
        return {family: len(trainings) for family, trainings in found.items()}

    def training(self, arm: str) -> str:
        """The first of the arms that share the training runs of the given arm; the arm itself if no other arm does."""
        return next((group.arms[0] for group in self.evidence.same if arm in group.arms), arm)

    def _differs(self, cell: Cell, reference: Cell) -> str | None:
        for kind in ("code", "data", "split"):
            if kind not in self.allow and cell.versions[kind] != reference.versions[kind]:
                if kind == "split" and self._judged_alike(cell, reference):
                    continue
                ours, theirs = ", ".join(cell.versions[kind]), ", ".join(reference.versions[kind])
                return f"{kind} differs between the arm ({ours}) and the reference ({theirs})"
        return None

    def _judged_alike(self, cell: Cell, reference: Cell) -> bool:
        """Whether two cells with different splits use the same subjects for model selection and testing in each
        fold."""
        people, ours, theirs = self.evidence.people, cell.versions["split"], reference.versions["split"]
        if cell.fold_SN is None or reference.fold_SN is None:
            return people.judge_alike((*ours, *theirs))
        return len(ours) == len(theirs) and all(any(people.judge_alike((a, b)) for b in theirs) for a in ours)

    def _compare_all(self, metric: str) -> dict[tuple[str, str], Compared]:
        study = self.evidence.study
        out: dict[tuple[str, str], Compared] = {}
        if study.reference is None:
            return out
        for task in study.tasks:
            reference = self.cell(study.reference, task)
            base = None
            if reference is not None and has_metric(reference.definition, metric):
                base = scores(reference, (metric,))[metric]
            for arm in (a.name for a in study.arms if a.name != study.reference):
                out[arm, task] = self._compare(arm, task, metric, reference, base)
            self._adjust(out, task)
        return out

    def _compare(self, arm: str, task: str, metric: str, reference: Cell | None, base: Scored | None) -> Compared:
        cell = self.cell(arm, task)
        if cell is None or reference is None or base is None:
            return Compared(difference=None)
        if self.one_training((arm, reference.arm)):
            return Compared(difference=None, same=True)
        refused = self._differs(cell, reference)
        if refused:
            return Compared(difference=None, refused=refused)
        scored = scores(cell, (metric,))[metric]
        return Compared(difference=compare(scored, base, paired=self.paired(task, metric)))

    def _adjust(self, compared: dict[tuple[str, str], Compared], task: str) -> None:
        """Holm correction within each family of a task; arms with shared training runs are one comparison."""
        groups: dict[str, dict[str, list[str]]] = {}
        for (arm, t), c in compared.items():
            if t == task and c.difference is not None:
                groups.setdefault(self.family(arm), {}).setdefault(self.training(arm), []).append(arm)
        for trainings in groups.values():
            arms = list(trainings.values())
            differences = [d for same in arms if (d := compared[same[0], task].difference) is not None]
            adjusted = holm([d.p for d in differences])
            equal = holm([self._equivalence(d) for d in differences])
            for same, difference, p, q in zip(arms, differences, adjusted, equal, strict=True):
                for arm in same:
                    compared[arm, task] = Compared(difference=difference, adjusted_p=float(p), equivalence_p=float(q))

    def _equivalence(self, d: Difference) -> float:
        margin = self.evidence.study.margin
        return math.nan if margin is None or d.components is None else equivalence_p(d.delta, d.components, margin)


def scores(cell: Cell, metrics: Iterable[str]) -> dict[str, Scored]:
    """Metrics of a cell for each seed, with the influence of each subject."""
    metrics = tuple(metrics)
    decisions = [m for m in metrics if m not in RANKING_INFLUENCE]
    influence = of_decisions(cell.labels_N, cell.predicted_SN, len(cell.classes), decisions) if decisions else {}
    for name in metrics:
        if name in RANKING_INFLUENCE:
            influence[name] = RANKING_INFLUENCE[name](cell.labels_N == 1, cell.probs_SNK[:, :, 1])
    return {m: cell.scored(cell.values(m), influence[m]) for m in metrics}


def measured_counts(
    cell: Cell, functions: Mapping[str, Callable[[Counts], Floats]], low: float = 0.0, high: float = 1.0
) -> dict[str, Measured]:
    """Measurements by name for functions of a cell's counts, whose values lie between two bounds."""
    influence = of_counts(cell.labels_N, cell.predicted_SN, len(cell.classes), functions)
    return {
        name: measured(cell.scored(function(cell.counts), influence[name]), low, high)
        for name, function in functions.items()
    }


def measured(scored: Scored, low: float = 0.0, high: float = 1.0) -> Measured:
    """Summary and intervals of one metric of one cell, with values between two bounds."""
    summary = summarise(scored.values_S)
    found = components(scored.values_S, scored.influence_SN, scored.fold_SN)
    return Measured(
        values_S=scored.values_S,
        summary=summary,
        seeds=seed_interval(scored.values_S),
        interval=bounded(summary.mean, found, low, high),
        components=found,
    )


def bounded(mean: float, found: Components | None, low: float = 0.0, high: float = 1.0) -> Interval:
    """Headline interval of a mean, limited to the given bounds (infinite for no bounds); undefined without mean or
    components."""
    if found is None or not math.isfinite(mean):
        return UNDEFINED
    if math.isinf(low):
        return interval_of(difference_interval(mean, found))
    return interval_of(bounded_interval(mean, found, low=low, high=high))
