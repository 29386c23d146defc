"""Table of the shares of variance, and of the intervals expected with more seeds or test subjects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from agrm_study.report import notes
from agrm_study.report.advice import Outlook, differences, outlook, sentence
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import shown_arms, task_blocks
from agrm_study.report.wording import METRIC_NAMES, percent
from agrm_study.study.splits import Splits
from agrm_study.study.tasks import task_title


def outlooks(m: Measurements, task: str, arms: list[str]) -> Iterator[tuple[str, str, Outlook]]:
    """(Kind, arm, outlook) of each arm's mean and of each difference from the reference, for the primary metric."""
    for arm in arms:
        x = m.metric(arm, task, m.evidence.study.primary_metric)
        known = outlook(x.components) if x is not None else None
        if known is not None:
            yield "mean", arm, known
    for arm, known in differences(m, task).items():
        if arm in arms:
            yield "difference", arm, known


class Variance(TableKind):
    """Half-width of each interval, its sources, and its expected width with twice the seeds or subjects."""

    name: ClassVar[str] = "variance"
    question: ClassVar[str] = "What are the sources of uncertainty, and what would reduce it?"

    def unfit(self, m: Measurements) -> str | None:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        if any(True for t in study.tasks for _ in outlooks(m, t, arms)):
            return None
        return "no arm has two finished seeds and enough test subjects for an interval"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        folds = study.splits is not None
        arms, rest = shown_arms(m, [a.name for a in study.arms])
        rows = []
        for task in study.tasks:
            for kind, arm, o in outlooks(m, task, arms):
                shown = arm if kind == "mean" else f"{arm} − {study.reference}"
                entries = (
                    words(task),
                    words(kind),
                    Entry(text=shown, value=arm),
                    *(_points(x) for x in (o.now, *o.shares, *([o.folds] if folds else []))),
                    *(_points(x) for x in (o.more_seeds, o.more_subjects, o.more_of_both)),
                )
                rows.append((task, entries))
        advice = [
            f"{task_title(t)}: {text}." if len(study.tasks) > 1 else f"{text}."
            for t in study.tasks
            if (text := sentence(differences(m, t)))
        ]
        return Table(
            name=self.name,
            caption=f"Uncertainty of {METRIC_NAMES[study.primary_metric]}: half-width of the 95% interval, its "
            "sources, and its expected value with more seeds or test subjects.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="kind", title="Kind", shown=False),
                Column(key="arm", title="Of", align="left"),
                Column(key="half_width", title="±"),
                Column(key="seeds", title="Seeds %"),
                Column(key="subjects", title="Subjects %"),
                Column(key="interaction", title="Both %"),
                *([Column(key="folds", title="Folds %")] if folds else []),
                Column(key="more_seeds", title="2× seeds"),
                Column(key="more_subjects", title="2× subjects"),
                Column(key="more_of_both", title="2× both"),
            ),
            rows=task_blocks(study.tasks, rows),
            notes=(
                *advice,
                "±: half-width in percentage points, t·√variance. Seeds, subjects, both: shares of the variance "
                "between training runs, between test subjects, and due to their interaction. 2×: expected half-width "
                "with twice as many seeds, test subjects or both, if the variances are as estimated; shares estimated "
                "from few seeds are imprecise." + ("" if study.splits is None else _folds_text(study.splits)),
                notes.replicates_note(m, arms, study.tasks).removeprefix("Percent; "),
                *rest,
                *notes.same_notes(m.evidence, arms),
                *notes.caution_notes(m, arms, study.tasks),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )


def _folds_text(splits: Splits) -> str:
    """Description of the fold column."""
    sites = ", and between sites" if splits.group == "site" else ""
    return (
        f" Folds: share of the variance that the training runs of a fold have in common over the seeds{sites}, which "
        "is assumed not to depend on the numbers of seeds and subjects."
    )


def _points(x: float) -> Entry:
    """A fraction in percent."""
    return Entry(text=percent(x), value=x)
