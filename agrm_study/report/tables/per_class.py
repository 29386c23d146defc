"""How well is each class recognised?"""

from __future__ import annotations

from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import shown_arms
from agrm_study.report.wording import CLASS_TITLES, TASK_TITLES, mean_std
from agrm_study.statistics.classification import count, f1, precision, recall
from agrm_study.statistics.estimators import summarise

PARTS = {"precision": precision, "recall": recall, "f1": f1}


class PerClass(TableKind):
    """Precision, recall and F1 by class."""

    name: ClassVar[str] = "per_class"
    question: ClassVar[str] = "How well is each class recognised?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.study.arms else "the study has no arm"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms, rest = shown_arms(m, [a.name for a in study.arms])
        rows = []
        for task in study.tasks:
            first = True
            for arm in arms:
                cell = m.cell(arm, task)
                if cell is None:
                    continue
                counts = count(cell.labels_N, cell.predicted_SN, len(cell.classes))
                found = {name: function(counts) for name, function in PARTS.items()}
                for k, label in enumerate(cell.classes):
                    support = int(counts.support[:, k].max())
                    entries = [words(task), words(arm), words(CLASS_TITLES.get(label, label)), whole(support)]
                    for values in found.values():
                        s = summarise(values[:, k])
                        parts = {"std": s.std, "n": s.n}
                        entries.append(Entry(text=mean_std(s.mean, s.std), value=s.mean, parts=parts, marks=cell.marks))
                    heading = TASK_TITLES[task] if first and len(study.tasks) > 1 else None
                    rows.append(Row(entries=tuple(entries), heading=heading))
                    first = False
        return Table(
            name=self.name,
            caption="Precision, recall and F1 by class; test part.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="class", title="Class", align="left"),
                Column(key="subjects", title="N"),
                Column(key="precision", title="Precision"),
                Column(key="recall", title="Recall"),
                Column(key="f1", title="F1"),
            ),
            rows=tuple(rows),
            notes=(
                notes.replicates_note(m, arms, study.tasks),
                *rest,
                *notes.gap_notes(m.evidence, arms, study.tasks),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )
