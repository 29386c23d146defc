"""Table of the missing trials and unusable records, with the reasons."""

from __future__ import annotations

from typing import ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.study.tasks import task_title

LONGEST = 120
"""Maximum number of characters of a displayed error; CSV has the full text."""


class Failures(TableKind):
    """Planned trials that failed or are unfinished, and unusable records."""

    name: ClassVar[str] = "failures"
    question: ClassVar[str] = "Which trials are missing, and why?"

    def unfit(self, m: Measurements) -> str | None:
        return None if m.evidence.planned or not m.evidence.searched.empty else "no trials are planned"

    def build(self, m: Measurements) -> Table:
        e = m.evidence
        folds = e.study.splits is not None
        known = e.trials.set_index("trial_id")[["status", "failure", "error", "attempt"]].to_dict("index")
        refused = {f.trial_id: f.rule for f in reversed(e.problems) if f.severity == "refuse" and f.trial_id}
        rows = []
        for p in e.planned:
            record = known.get(p.trial_id)
            finished = record is not None and record["status"] == "finished"
            if finished and p.trial_id not in e.refused:
                continue
            state = "left out" if finished else "failed" if record is not None else "not finished"
            error = str(record["error"] or "") if record is not None else ""
            if finished:
                error = refused[p.trial_id]
            line = error.strip().splitlines()[0] if error.strip() else ""
            short = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
            rows.append(
                Row(
                    entries=(
                        words(p.arm),
                        words(task_title(p.task)),
                        whole(p.seed),
                        *([whole(p.fold)] if folds else []),
                        words(state),
                        words(str(record["failure"] or "") if record is not None else ""),
                        words(short),
                        whole(int(record["attempt"]) if record is not None else None),
                    )
                )
            )
        planned = len({p.trial_id for p in e.planned})
        lost = int((e.searched["status"] == "failed").sum())
        search = (f"Of {len(e.searched)} search trials, {lost} failed.",) if len(e.searched) else ()
        problems = tuple(f"{'Left out' if p.severity == 'refuse' else 'Marked'}: {p}." for p in e.problems)
        return Table(
            name=self.name,
            caption=f"Trials that have not finished: {len(rows)} of {len(e.planned)} replicates "
            f"({planned} planned trials).",
            columns=(
                Column(key="arm", title="Arm", align="left"),
                Column(key="task", title="Task", align="left"),
                Column(key="seed", title="Seed"),
                *([Column(key="fold", title="Fold")] if folds else []),
                Column(key="state", title="State", align="left"),
                Column(key="failure", title="Failure", align="left"),
                Column(key="error", title="Error", align="left"),
                Column(key="attempts", title="Attempts"),
            ),
            rows=tuple(rows),
            notes=(*search, *problems) if (search or problems) else ("Every record could be used.",),
            partial=e.partial,
        )
