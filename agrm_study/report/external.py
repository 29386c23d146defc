"""Metrics of each arm on an external set, beside those on the study's own test part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from agrm_study.report.cells import Cell
from agrm_study.report.evaluated import ExternalCells
from agrm_study.report.measure import Measured, Measurements, measured, scores
from agrm_study.statistics.comparison import Difference
from agrm_study.statistics.two_sets import compare_sets
from agrm_study.study.spec import has_metric

NOTHING = "no external set has been evaluated (`agrm-study evaluate RESULTS --manifest FILE --name NAME`)"


@dataclass(frozen=True, kw_only=True)
class ExternalResult:
    """One arm on one task and external set.

    Attributes:
        cell: Predictions on the set.
        internal: Primary metric on the study's own test part; None if its cell is missing or excluded.
        change: External minus internal, over the seeds that both have; None under the same condition.
    """

    arm: str
    task: str
    cell: Cell
    internal: Measured | None
    change: Difference | None

    def metric(self, name: str) -> Measured | None:
        """A metric on the set; None if it is undefined there, as for a class without a subject."""
        return metric_of(self.cell, name)


def metric_of(cell: Cell, name: str) -> Measured | None:
    """A metric of a cell; None if its task does not have it, or if it is undefined at a seed."""
    if not has_metric(cell.definition, name):
        return None
    found = measured(scores(cell, (name,))[name])
    return found if math.isfinite(found.summary.mean) else None


def external_results(m: Measurements, found: ExternalCells) -> Iterator[ExternalResult]:
    """Results on a set, by task and arm in the order of the study; excluded cells are omitted."""
    study = m.evidence.study
    for task in study.tasks:
        for arm in (a.name for a in study.arms):
            cell = found.cells.get((arm, task))
            if cell is None or cell.refused:
                continue
            internal, change = m.cell(arm, task), None
            if internal is not None and has_metric(cell.definition, study.primary_metric):
                ours, theirs = (scores(c, (study.primary_metric,))[study.primary_metric] for c in (cell, internal))
                change = compare_sets(ours, theirs)
            yield ExternalResult(
                arm=arm,
                task=task,
                cell=cell,
                internal=m.metric(arm, task, study.primary_metric) if internal is not None else None,
                change=change,
            )
