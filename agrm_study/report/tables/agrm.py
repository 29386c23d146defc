"""Table of the method's results on training, validation and test data (Table 4 of the paper)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.checks.finding import Finding
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.measure import TABLE_METRICS, Measurements
from agrm_study.report.table import Column, Entry, Row, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import interval_entry, metric_entry
from agrm_study.report.wording import METRIC_TITLES, tasks_text
from agrm_study.study.tasks import task_title

PARTS = {"train": "Training", "val": "Validation", "test": "Test"}
_AVERAGED = (
    "Training and validation rows: means over the folds of a seed, without an interval, as folds share these subjects.",
)


class Agrm(TableKind):
    """The reference arm by task and part."""

    name: ClassVar[str] = "agrm"
    question: ClassVar[str] = "How does the method perform on training, validation and test data?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.study.arms else "the study has no arms"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arm = study.reference or study.arms[0].name
        by_part = {"test": m}
        findings: list[Finding] = []
        for part in ("train", "val"):
            found = cells_of_part(m.evidence, part, arms=[arm])
            findings += found.findings
            by_part[part] = replace(m, evidence=replace(m.evidence, cells=found.cells))
        rows: list[Row] = []
        for task in study.tasks:
            block = [self._row(by_part[p], arm, task, p) for p in PARTS if by_part[p].cell(arm, task) is not None]
            if block and len(study.tasks) > 1:
                block[0] = replace(block[0], heading=task_title(task))
            rows += block
        shown = [PARTS[p].lower() for p in PARTS if any(by_part[p].cell(arm, t) is not None for t in study.tasks)]
        absent = [name.lower() for name in PARTS.values() if name.lower() not in shown]
        gap = (f"Not recorded: predictions on the {' and '.join(absent)} part.",) if absent else ()
        return Table(
            name=self.name,
            caption=f"{arm} by part of the data ({tasks_text(study.tasks)}).",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="part", title="Part", align="left"),
                Column(key="subjects", title="N"),
                *(Column(key=k, title=METRIC_TITLES[k]) for k in TABLE_METRICS),
                Column(key="macro_f1_interval", title="F1 95% CI"),
            ),
            rows=tuple(rows),
            notes=(
                notes.replicates_note(m, [arm], study.tasks),
                notes.interval_note(m, study.tasks),
                "Training and validation rows describe data used for training or for the choice of the epoch.",
                *_AVERAGED[: study.splits is not None],
                *gap,
                *notes.gap_notes(m.evidence, [arm], study.tasks, findings),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )

    def _row(self, m: Measurements, arm: str, task: str, part: str) -> Row:
        cell = m.cell(arm, task)
        n = cell.n_subjects if cell is not None else 0
        entries = [words(task), words(PARTS[part]), Entry(text=str(n), value=n)]
        entries += [metric_entry(m, arm, task, m.metric(arm, task, k), "plain") for k in TABLE_METRICS]
        return Row(entries=(*entries, interval_entry(m.metric(arm, task, "macro_f1"))))
