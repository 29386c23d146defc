"""Table that compares the student with the average of its weights: the teacher, or an average not used as one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.checks.finding import Finding
from agrm_study.report.collect_cells import cells_of_part
from agrm_study.report.measure import TABLE_METRICS, Measurements
from agrm_study.report.table import Column, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, difference_entry, metric_entry, shown_arms, task_blocks
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES


class Networks(TableKind):
    """Metrics of the student and of its average, for each arm that has an average."""

    name: ClassVar[str] = "networks"
    question: ClassVar[str] = "Is the teacher, or another average of the weights, better than the student?"

    def unfit(self, m: Measurements) -> str | None:
        return None if any(a.average for a in m.evidence.study.arms) else "no arm has a teacher or another average"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        average = {a.name: a.average for a in study.arms if a.average}
        arms, rest = shown_arms(m, list(average))
        by_network = {}
        findings: list[Finding] = []
        for role, of_role in (("student", "student"), ("average", average)):
            part = cells_of_part(m.evidence, "test", arms=arms, network=of_role)
            findings += part.findings
            by_network[role] = replace(m, evidence=replace(m.evidence, cells=part.cells))
        rows = []
        for task in study.tasks:
            for arm in arms:
                for role, own in by_network.items():
                    if (cell := own.cell(arm, task)) is None:
                        continue
                    entries = [words(task), arm_entry(m.evidence, arm), words(cell.network)]
                    entries += [metric_entry(own, arm, task, own.metric(arm, task, k), "plain") for k in TABLE_METRICS]
                    student, d = by_network["student"].cell(arm, task), None
                    if role == "average" and student is not None:
                        d = m.difference_of_cells(cell, student)
                    entries.append(words("") if d is None else difference_entry(d, cell.planned))
                    rows.append((task, entries))
        metric = METRIC_TITLES[study.primary_metric]
        kinds = sorted({average[arm] for arm in arms}, reverse=True)
        named = "teacher" if kinds == ["teacher"] else "average" if len(kinds) == 1 else "teacher or average"
        return Table(
            name=self.name,
            caption=f"Student and {named} at the best epoch; test part.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="network", title="Network", align="left"),
                *(Column(key=k, title=METRIC_TITLES[k]) for k in TABLE_METRICS),
                Column(key="delta", title=f"Δ{metric} [95% CI]"),
            ),
            rows=task_blocks(study.tasks, rows),
            notes=(
                f"Δ: {named} − student in {METRIC_NAMES[study.primary_metric]}, in percentage points, paired by trial "
                "and subject; descriptive, not part of any family of tests.",
                notes.replicates_note(by_network["average"], arms, study.tasks),
                notes.interval_note(m, study.tasks),
                *rest,
                *notes.gap_notes(m.evidence, arms, study.tasks, findings),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )
