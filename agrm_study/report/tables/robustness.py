"""Table of the primary metric by corruption and severity."""

from __future__ import annotations

from typing import ClassVar

from agrm_study.records.evaluations import SEVERITIES
from agrm_study.report import notes
from agrm_study.report.measure import Measurements
from agrm_study.report.robustness import MEANINGS, NOTHING, RobustnessResult, robustness_results, title_of
from agrm_study.report.table import EMPTY, Column, Entry, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry, estimate_parts, headed
from agrm_study.report.tables.external import change_entry
from agrm_study.report.wording import METRIC_NAMES, MISSING, percent, sentence_case, span
from agrm_study.study.counted import counted
from agrm_study.study.tasks import task_title


class Robustness(TableKind):
    """Primary metric on corrupted copies of the test part, by severity, with the change from the clean test part."""

    name: ClassVar[str] = "robustness"
    question: ClassVar[str] = "How much worse are the networks on degraded recordings?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.corrupted is not None else NOTHING

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        results = list(robustness_results(m))
        rows = []
        for result in results:
            heading = title_of(result.kind)
            if len(study.tasks) > 1:
                heading = f"{task_title(result.task)}: {heading.lower()}"
            rows.append((heading, _entries(m, result)))
        compared = () if study.reference is None else (Column(key="delta", title=f"Δ to {study.reference} [95% CI]"),)
        return Table(
            name=self.name,
            caption=f"{sentence_case(METRIC_NAMES[study.primary_metric])} on corrupted copies of the test part, by "
            "severity.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="corruption", title="Corruption", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="clean", title="Clean"),
                *(Column(key=f"severity_{s}", title=str(s)) for s in SEVERITIES),
                Column(key="change", title="Change [95% CI]"),
                *compared,
            ),
            rows=headed(rows),
            notes=tuple(_notes(m, results)),
            partial=m.evidence.partial,
        )


def _entries(m: Measurements, result: RobustnessResult) -> tuple[Entry, ...]:
    entries = [words(result.task), words(result.kind), arm_entry(m.evidence, result.arm)]
    copies = ((result.by_severity.get(s), result.cell.marks) for s in SEVERITIES)
    for x, marks in ((result.clean, ()), *copies):
        if x is None:
            entries.append(Entry(text=MISSING))
            continue
        text = percent(x.summary.mean, 0)
        entries.append(Entry(text=text, value=x.summary.mean, parts=estimate_parts(x), marks=marks))
    entries.append(change_entry(result.change, result.cell.planned))
    reference = m.evidence.study.reference
    if reference is not None:
        is_reference = result.arm == reference
        entries.append(EMPTY if is_reference else change_entry(result.to_reference, result.cell.planned))
    return tuple(entries)


def _notes(m: Measurements, results: list[RobustnessResult]) -> list[str]:
    found = m.corrupted
    assert found is not None
    kinds = dict.fromkeys(result.kind for result in results)
    meanings = "; ".join(f"{title_of(kind).lower()}: {MEANINGS[kind]}" for kind in kinds if kind in MEANINGS)
    reference = m.evidence.study.reference
    n = span(result.cell.planned for result in results)
    said = [
        f"Whole percent, means over {counted(n, 'training seed')}; decimals and intervals are in the CSV file. "
        "Networks, subjects and windows are the same as for the test part; corruptions are applied to the decoded "
        f"clips before cropping, and are the same for all networks (seed {found.about.seed}).",
        f"Severities 1 to 5: {meanings}." if meanings else "No corruption has been evaluated.",
        "Change: mean over the severities shown minus clean, in percentage points, with a 95% interval over seeds and "
        "subjects, paired by seed and subject."
        + (
            f" Δ: mean over the severities minus the mean of {reference} under the same corruption. Estimates, not "
            "tests: intervals are not adjusted for multiple comparisons."
            if reference is not None
            else ""
        ),
        *notes.findings_notes(found.findings),
        notes.versions_note(m.evidence),
    ]
    return said
