"""Table of the arms on external sets, with the change from the internal test part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.evaluated import ExternalCells
from agrm_study.report.external import NOTHING, ExternalResult, external_results, planned_seeds
from agrm_study.report.measure import Measured, Measurements
from agrm_study.report.table import Column, Entry, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import (
    arm_entry,
    difference_entry,
    estimate_entry,
    estimate_parts,
    headed,
    interval_entry,
)
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, MISSING, mean_std, span
from agrm_study.statistics.comparison import Difference
from agrm_study.study.counted import counted
from agrm_study.study.tasks import task_title

IN_CSV = ("sensitivity", "specificity", "balanced_accuracy")
"""Metrics that are included only in the CSV file."""


class External(TableKind):
    """Metrics on external sets, and the change in the primary metric."""

    name: ClassVar[str] = "external"
    question: ClassVar[str] = "How well do the networks perform on external subjects and recordings?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.external else NOTHING

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        title = METRIC_TITLES[study.primary_metric]
        shown = tuple(dict.fromkeys(("accuracy", "macro_f1", study.primary_metric)))
        rows = [
            (heading_of(m, found.about.name, result.task), _entries(m, found.about.name, result, shown))
            for found in m.external
            for result in external_results(m, found)
        ]
        return Table(
            name=self.name,
            caption=f"{listing_of(m.external)}: networks as trained, and the change in "
            f"{METRIC_NAMES[study.primary_metric]} from the study's own test part.",
            columns=(
                Column(key="set", title="Set", shown=False),
                Column(key="task", title="Task", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="subjects", title="N"),
                *(Column(key=name, title=METRIC_TITLES[name]) for name in shown),
                *(Column(key=name, title=METRIC_TITLES[name], shown=False) for name in IN_CSV if name not in shown),
                Column(key=f"{study.primary_metric}_interval", title=f"{title} 95% CI"),
                Column(key="internal", title=f"Internal {title}"),
                Column(key="change", title=f"Change in {title} [95% CI]"),
            ),
            rows=headed(rows),
            notes=tuple(_notes(m)),
            partial=m.evidence.partial,
        )


def heading_of(m: Measurements, name: str, task: str) -> str | None:
    """Heading of a block: the set, and the task if the study has several."""
    several = len(m.evidence.study.tasks) > 1
    if len(m.external) == 1 and not several:
        return None
    return f"{name}: {task_title(task)}" if several else name


def listing_of(sets: Sequence[ExternalCells]) -> str:
    """The external sets, as listed in a caption."""
    names = ", ".join(found.about.name for found in sets)
    return f"External set{'s' * (len(sets) > 1)} {names}"


def plain_metric(x: Measured | None, marks: tuple[str, ...]) -> Entry:
    """Mean ± standard deviation in percent."""
    if x is None:
        return Entry(text=MISSING)
    text = mean_std(x.summary.mean, x.summary.std)
    return Entry(text=text, value=x.summary.mean, parts=estimate_parts(x), marks=marks)


def change_entry(change: Difference | None, planned: int) -> Entry:
    """A difference with its interval; a dash if it is undefined."""
    if change is None or not math.isfinite(change.delta):
        return Entry(text=MISSING)
    return difference_entry(change, planned)


def _entries(m: Measurements, name: str, result: ExternalResult, shown: Sequence[str]) -> tuple[Entry, ...]:
    cell = result.cell
    metrics = [*shown, *(name for name in IN_CSV if name not in shown)]
    return (
        words(name),
        words(result.task),
        arm_entry(m.evidence, result.arm),
        whole(cell.n_subjects),
        *(plain_metric(result.metric(metric), cell.marks) for metric in metrics),
        interval_entry(result.metric(m.evidence.study.primary_metric)),
        estimate_entry(result.internal, ()),
        change_entry(result.change, result.planned),
    )


def _notes(m: Measurements) -> list[str]:
    study = m.evidence.study
    cells = [cell for found in m.external for cell in found.cells.values() if not cell.refused]
    folds = 1 if study.splits is None else study.splits.folds
    n = span(planned_seeds(study, cell) for cell in cells)
    of_folds = f" The metric of a seed is the mean over the networks of its {folds} folds." if folds > 1 else ""
    missing = any(not cell.complete for cell in cells)
    runs = "training runs" if folds > 1 else "seeds"
    short = f" Superscript k/n: only k of n planned {runs} have finished." if missing else ""
    out = [
        f"Percent; mean ± sample standard deviation (ddof 1) over n = {counted(n, 'training seed')}; N: subjects in "
        "the set; neither these subjects nor their videos occur in the study's data. Networks, windows and decision "
        f"rule are the same as for the study's own test part; nothing is fitted on the set.{of_folds}{short}",
        notes.interval_note(m, study.tasks),
        "Change: external minus internal, in percentage points, with a 95% interval for the same seeds on two "
        "independent sets of subjects (two-way variance, Welch–Satterthwaite degrees of freedom). Estimates, not "
        "tests: the intervals are not adjusted for multiple comparisons, and a change combines different people, "
        "recordings and class proportions.",
    ]
    for found in m.external:
        about = found.about
        said = [f"{about.name}: {about.subjects} subjects, {about.clips} clips, data {about.data_fingerprint[:12]}."]
        if about.distinct_subjects:
            said.append("Subject ids that also occur in the study were declared to refer to different people.")
        out.append(" ".join([*said, *about.notes]))
        out += notes.findings_notes(found.findings)
    return [*out, notes.versions_note(m.evidence)]
