"""Comparison table of all arms of a study."""

from __future__ import annotations

from typing import ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Row, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import block, columns, standard_notes
from agrm_study.report.wording import tasks_text


class Arms(TableKind):
    """All arms of a study with their metrics and Δ from the reference."""

    name: ClassVar[str] = "arms"
    question: ClassVar[str] = "How do the arms compare?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.study.arms else "the study has no arms"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        rows: list[Row] = []
        for task in study.tasks:
            rows += block(m, task, arms)
        return Table(
            name=self.name,
            caption=f"{study.question or study.name} Test metrics by arm ({tasks_text(study.tasks)}).".strip(),
            columns=columns(m),
            rows=tuple(rows),
            notes=standard_notes(m, arms, study.tasks),
            partial=m.evidence.partial,
        )
