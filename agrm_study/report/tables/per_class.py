"""Table of precision, recall and F1 by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.measure import Measurements, measured_counts
from agrm_study.report.table import Column, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, estimate_entry, shown_arms, task_blocks
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.classification import Counts, f1, precision, recall
from agrm_study.study.tasks import class_title

PARTS = {"precision": precision, "recall": recall, "f1": f1}


def of_class(function: Callable[[Counts], Floats], k: int) -> Callable[[Counts], Floats]:
    """Restrict a per-class metric to one class."""
    return lambda c: function(c)[..., k]


class PerClass(TableKind):
    """Precision, recall and F1 by class."""

    name: ClassVar[str] = "per_class"
    question: ClassVar[str] = "How well is each class recognised?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.study.arms else "the study has no arms"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms, rest = shown_arms(m, [a.name for a in study.arms])
        rows = []
        for task in study.tasks:
            for arm in arms:
                cell = m.cell(arm, task)
                if cell is None:
                    continue
                for k, label in enumerate(cell.classes):
                    support = int(cell.counts.support[:, k].max())
                    found = measured_counts(cell, {name: of_class(f, k) for name, f in PARTS.items()})
                    entries = [
                        words(task),
                        arm_entry(m.evidence, arm),
                        words(class_title(label)),
                        whole(support),
                    ]
                    entries += [estimate_entry(x, cell.marks) for x in found.values()]
                    rows.append((task, entries))
        return Table(
            name=self.name,
            caption="Precision, recall and F1 by class; test part.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="class", title="Class", align="left"),
                Column(key="subjects", title="N"),
                Column(key="precision", title="Precision [95% CI]"),
                Column(key="recall", title="Recall [95% CI]"),
                Column(key="f1", title="F1 [95% CI]"),
            ),
            rows=task_blocks(study.tasks, rows),
            notes=notes.closing_notes(m, arms, study.tasks, rest),
            partial=m.evidence.partial,
        )
