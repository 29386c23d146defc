"""Table of the arms of a race: seeds used, and the reason why an arm was stopped."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.facts import by_cell, trial_facts
from agrm_study.report.measure import Measurements
from agrm_study.report.table import EMPTY, Column, Entry, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import arm_entry
from agrm_study.report.tables.thresholds import values_entry
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, MISSING, points, tasks_text
from agrm_study.study.seeds import Stopped
from agrm_study.study.tasks import task_title


class RaceTable(TableKind):
    """The arms of a race with their seeds, validation score, and the test that stopped them."""

    name: ClassVar[str] = "race"
    question: ClassVar[str] = "Which arms did the race stop, after how many seeds, and why?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.study.race is not None else "the study does not use a race"

    def build(self, m: Measurements) -> Table:
        study, race = m.evidence.study, m.evidence.race
        metric = study.primary_metric
        scores = by_cell(m.evidence, trial_facts(m.evidence, m.evidence.trials), f"val_{metric}")
        stopped = {} if race is None else race.by_cell
        most = None if study.race is None else study.race.most
        rows = []
        for task in study.tasks:
            heading = task_title(task) if len(study.tasks) > 1 else None
            for i, arm in enumerate(a.name for a in study.arms):
                values = scores.get((arm, task), [])
                asked = len(m.evidence.planned_seeds(arm, task))
                why = stopped.get((arm, task))
                entries = (
                    words(task),
                    arm_entry(m.evidence, arm),
                    whole(len(values)).marked("‡") if why is not None else whole(len(values)),
                    words(_state(why, len(values), asked, most)),
                    values_entry(np.array(values), asked),
                    *_test(why),
                )
                rows.append(Row(entries=entries, heading=heading if i == 0 else None))
        title = METRIC_TITLES[metric]
        return Table(
            name=self.name,
            caption=f"Seeds of each arm in the race on the {tasks_text(study.tasks)} "
            f"task{'s' if len(study.tasks) > 1 else ''}, decided by {METRIC_NAMES[metric]} on validation data.",
            columns=(
                Column(key="task", title="Task", align="left", shown=False),
                Column(key="arm", title="Arm", align="left"),
                Column(key="seeds", title="n"),
                Column(key="state", title="State", align="left"),
                Column(key=f"val_{metric}", title=f"Validation {title}"),
                Column(key="rival", title="Stopped by", align="left"),
                Column(key="difference", title=f"Difference in {title}"),
                Column(key="p", title="p"),
                Column(key="limit", title="Limit of p"),
            ),
            rows=tuple(rows),
            notes=(
                *notes.race_notes(m.evidence, [a.name for a in study.arms], study.tasks),
                "Validation score at the best epoch; percent, mean ± sample standard deviation (ddof 1) over n seeds. "
                "Difference: the rival minus the arm over their common seeds at that look, in percentage points; p: "
                "one-sided paired t-test; the arm is stopped if p is at most the limit.",
                *notes.same_notes(m.evidence, [a.name for a in study.arms]),
                notes.SCREENING,
            ),
            partial=m.evidence.partial,
        )


def _state(why: Stopped | None, n: int, asked: int, most: int | None) -> str:
    if why is not None:
        return f"stopped after {why.n} seeds"
    if n < asked:
        return f"not stopped, {n} of at most {most} seeds so far"
    return "not stopped"


def _test(why: Stopped | None) -> tuple[Entry, Entry, Entry, Entry]:
    """Entries for the rival, the difference, the p-value and its limit."""
    if why is None:
        return words(MISSING), EMPTY, EMPTY, EMPTY
    difference = Entry(text=points(why.difference), value=why.difference, parts={"n": why.pairs})
    return (
        words(why.rival),
        difference,
        Entry(text=f"{why.p:.2g}", value=why.p),
        Entry(text=f"{why.limit:.2g}", value=why.limit),
    )
