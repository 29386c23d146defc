"""Comparison table of the teacher and the student that it averages."""

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
    """Student and teacher metrics of each arm that has both."""

    name: ClassVar[str] = "networks"
    question: ClassVar[str] = "Is the teacher better than the student it averages?"

    def unfit(self, m: Measurements) -> str | None:
        return None if any(a.has_mtm for a in m.evidence.study.arms) else "no arm has a teacher"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms, rest = shown_arms(m, [a.name for a in study.arms if a.has_mtm])
        by_network = {}
        findings: list[Finding] = []
        for network in ("student", "teacher"):
            part = cells_of_part(m.evidence, "test", arms=arms, network=network)
            findings += part.findings
            by_network[network] = replace(m, evidence=replace(m.evidence, cells=part.cells))
        rows = []
        for task in study.tasks:
            for arm in arms:
                for network, own in by_network.items():
                    if own.cell(arm, task) is None:
                        continue
                    entries = [words(task), arm_entry(m.evidence, arm), words(network)]
                    entries += [metric_entry(own, arm, task, own.metric(arm, task, k), "plain") for k in TABLE_METRICS]
                    teacher, student = by_network["teacher"].cell(arm, task), by_network["student"].cell(arm, task)
                    d = None
                    if network == "teacher" and teacher is not None and student is not None:
                        d = m.difference_of_cells(teacher, student)
                    entries.append(words("") if d is None or teacher is None else difference_entry(d, teacher.planned))
                    rows.append((task, entries))
        metric = METRIC_TITLES[study.primary_metric]
        return Table(
            name=self.name,
            caption="Student and teacher at the best epoch; test part.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="network", title="Network", align="left"),
                *(Column(key=k, title=METRIC_TITLES[k]) for k in TABLE_METRICS),
                Column(key="delta", title=f"Δ{metric} [95% CI]"),
            ),
            rows=task_blocks(study.tasks, rows),
            notes=(
                f"Δ: teacher − student in {METRIC_NAMES[study.primary_metric]}, percentage points, paired by trial and "
                "subject; descriptive, outside every family of tests.",
                notes.replicates_note(by_network["teacher"], arms, study.tasks),
                notes.interval_note(m, study.tasks),
                *rest,
                *notes.gap_notes(m.evidence, arms, study.tasks, findings),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )
