"""Metrics of each arm on an external set, alongside those on the internal test part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from agrm_study.report.cells import Cell
from agrm_study.report.evaluated import ExternalCells
from agrm_study.report.measure import Measured, Measurements, measured, scores
from agrm_study.report.study_info import StudyInfo
from agrm_study.statistics.comparison import Difference, Scored
from agrm_study.statistics.two_sets import compare_sets
from agrm_study.study.spec import has_metric

NOTHING = "no external set has been evaluated (`agrm-study evaluate RESULTS --manifest FILE --name NAME`)"


@dataclass(frozen=True, kw_only=True)
class ExternalResult:
    """One arm on one task and external set.

    Attributes:
        cell: Predictions on the set.
        internal: Primary metric on the internal test part; None if its cell is missing or excluded.
        change: External minus internal, over their common seeds; None under the same condition.
        planned: Number of planned seeds; all folds of a seed count once.
    """

    arm: str
    task: str
    cell: Cell
    internal: Measured | None
    change: Difference | None
    planned: int

    def metric(self, name: str) -> Measured | None:
        """A metric on the set; None if it is undefined there, for example for a class without subjects."""
        return metric_of(self.cell, name)


def metric_of(cell: Cell, name: str) -> Measured | None:
    """A metric of a cell; None if it does not apply to the task, or is undefined for a seed."""
    if not has_metric(cell.definition, name):
        return None
    found = measured(scored_on_set(cell, name))
    return found if math.isfinite(found.summary.mean) else None


def scored_on_set(cell: Cell, name: str) -> Scored:
    """A metric of a cell for each seed, with the influence of each subject.

    If folds are not pooled, the networks of all folds were evaluated on the same subjects; the metric of a seed and the
    influence of a subject on it are means over the folds.
    """
    if cell.pooled_S is None:
        return scores(cell, (name,))[name]
    found = scores(replace(cell, pooled_S=None), (name,))[name]
    rows = tuple(dict.fromkeys(cell.pooled_S))
    mine = [np.array([row == other for other in cell.pooled_S]) for row in rows]
    return Scored(
        seeds=rows,
        values_S=np.array([found.values_S[here].mean() for here in mine]),
        influence_SN=np.stack([found.influence_SN[here].mean(axis=0) for here in mine]),
    )


def external_results(m: Measurements, found: ExternalCells) -> Iterator[ExternalResult]:
    """Results on an external set, by task and arm in the order of the study; excluded cells are omitted."""
    study = m.evidence.study
    for task in study.tasks:
        for arm in (a.name for a in study.arms):
            cell = found.cells.get((arm, task))
            if cell is None or cell.refused:
                continue
            internal, change = m.cell(arm, task), None
            if internal is not None and has_metric(cell.definition, study.primary_metric):
                change = compare_sets(*(scored_on_set(c, study.primary_metric) for c in (cell, internal)))
            yield ExternalResult(
                arm=arm,
                task=task,
                cell=cell,
                internal=m.metric(arm, task, study.primary_metric) if internal is not None else None,
                change=change,
                planned=planned_seeds(study, cell),
            )


def planned_seeds(study: StudyInfo, cell: Cell) -> int:
    """Number of planned seeds of a cell; all folds of a seed count once."""
    return cell.planned if cell.pooled_S is None or study.splits is None else cell.planned // study.splits.folds
