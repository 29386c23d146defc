"""Table of the predictive values of a screening test at given prevalences."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.measure import Measurements, measured_counts
from agrm_study.report.screened import NEEDS_POSITIVE, names, screened, task_columns, task_row
from agrm_study.report.table import Column, Entry, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, estimate_entry
from agrm_study.report.wording import MISSING, tasks_text
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.classification import Counts, sensitivity, specificity
from agrm_study.statistics.clinical import npv_at, ppv_at


def ppv_of(c: Counts, at: float) -> Floats:
    """Positive predictive value (PPV) at a prevalence."""
    return ppv_at(sensitivity(c), specificity(c), at)


def npv_of(c: Counts, at: float) -> Floats:
    """Negative predictive value (NPV) at a prevalence."""
    return npv_at(sensitivity(c), specificity(c), at)


class PredictiveValues(TableKind):
    """PPV and NPV of the tasks with a positive class at the prevalences stated in the study."""

    name: ClassVar[str] = "predictive_values"
    question: ClassVar[str] = "What are the predictive values at other prevalences?"

    def unfit(self, m: Measurements) -> str | None:
        if not screened(m.evidence.study):
            return NEEDS_POSITIVE
        return None if m.evidence.study.prevalences else "the study does not specify report.prevalences"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        tasks = screened(study)
        asked = names(tasks)
        rows = []
        for task, at in product(tasks, study.prevalences):
            for i, arm in enumerate(arms):
                cell = m.cell(arm, task.name)
                values = [Entry(text=MISSING)] * 2
                if cell is not None:
                    found = measured_counts(cell, {"ppv": partial(ppv_of, at=at), "npv": partial(npv_of, at=at)})
                    values = [estimate_entry(found[k], cell.marks) for k in ("ppv", "npv")]
                shown = f"{100 * at:g}%"
                entries = (Entry(text=shown, value=at), arm_entry(m.evidence, arm), *values)
                row = task_row(tasks, task, entries, first=False)
                title = f"{task.title}, prevalence {shown}" if len(tasks) > 1 else f"Prevalence {shown}"
                rows.append(replace(row, heading=None if i else title))
        return Table(
            name=self.name,
            caption=f"Predictive values of the {tasks_text(asked)} decision (p ≥ 0.5) at stated prevalences.",
            columns=(
                *task_columns(tasks),
                Column(key="prevalence", title="Prevalence", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="ppv", title="PPV [95% CI]"),
                Column(key="npv", title="NPV [95% CI]"),
            ),
            rows=tuple(rows),
            notes=(
                "By Bayes' rule from sensitivity and specificity on the test part; the prevalence is treated as known.",
                *notes.closing_notes(m, arms, asked),
            ),
            partial=m.evidence.partial,
        )
