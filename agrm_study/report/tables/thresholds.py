"""Table that compares the threshold policies and the pseudo-labels that they accept."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pandas as pd

from agrm_study.report.facts import of_arm, trial_facts
from agrm_study.report.measure import Measurements
from agrm_study.report.study_info import ArmInfo
from agrm_study.report.table import Column, Entry, Row, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import block, columns, standard_notes
from agrm_study.report.wording import METRIC_NAMES, MISSING, UNDECIDED, listing, mean_std, number, tasks_text
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.estimators import summarise
from agrm_study.study.tasks import task_title

EXTRA = (
    Column(key="coverage", title="Coverage"),
    Column(key="purity", title="Accuracy of accepted"),
    Column(key="epochs", title="Epochs"),
)


def rule_of(arm: ArmInfo) -> tuple[str, float | None]:
    """Policy and τ of an arm; τ is None if the policy has none."""
    t = arm.recipe.ssl.threshold
    return t.policy, t.tau if t.policy in ("fixed", "flexmatch", "relative") else None


def values_entry(values: pd.Series[float] | Floats, planned: int, *, percent: bool = True) -> Entry:
    """Mean ± standard deviation over trials, of a fraction in percent or of a plain number; marked if fewer than
    planned."""
    known = np.asarray(values, dtype=np.float64)
    s = summarise(known[~np.isnan(known)])
    if not s.n:
        return Entry(text=MISSING)
    marks = (f"{s.n}/{planned}",) if s.n < planned else ()
    spread = f" ± {number(s.std, 1)}" if s.n > 1 else ""
    text = mean_std(s.mean, s.std) if percent else f"{number(s.mean, 1)}{spread}"
    return Entry(text=text, value=s.mean, parts={"std": s.std, "n": s.n}, marks=marks)


class Thresholds(TableKind):
    """Threshold policies with their metrics, coverage, and the accuracy of the accepted pseudo-labels."""

    name: ClassVar[str] = "thresholds"
    question: ClassVar[str] = "Which rule for accepting pseudo-labels is best?"

    def unfit(self, m: Measurements) -> str | None:
        rules = {rule_of(a) for a in m.evidence.study.arms if a.accepts}
        return None if len(rules) > 1 else "no two arms accept pseudo-labels by different rules"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms if a.accepts or a.name == study.reference]
        facts = trial_facts(m.evidence, m.evidence.trials)

        def extra(arm: str, task: str) -> tuple[Entry, ...]:
            mine = of_arm(m.evidence, facts, arm, task)
            planned = len(m.evidence.planned_seeds(arm, task))
            return (
                values_entry(mine["pseudo_coverage"], planned),
                values_entry(mine["pseudo_accuracy"], planned),
                values_entry(mine["epochs"], planned, percent=False),
            )

        rows: list[Row] = []
        for task in study.tasks:
            rows += block(m, task, arms, extra)
        return Table(
            name=self.name,
            caption=f"Rules for accepting pseudo-labels on the {tasks_text(study.tasks)} task"
            f"{'s' if len(study.tasks) > 1 else ''}; test part.",
            columns=columns(m, EXTRA, arm_title="Rule"),
            rows=tuple(rows),
            notes=(
                *(conclusion(m, arms, t) for t in study.tasks if study.reference is not None),
                "Coverage: share of unlabelled clips accepted, accuracy of accepted: share of these that agree with "
                "the hidden label (if there is one), both in percent at the best epoch; epochs: until training ended.",
                *standard_notes(m, arms, study.tasks),
            ),
            partial=m.evidence.partial,
        )


def conclusion(m: Measurements, arms: list[str], task: str) -> str:
    """A sentence that states the conclusions supported by the data for one task."""
    study = m.evidence.study
    compared = {a: c for a in arms if (c := m.compared().get((a, task))) is not None and c.difference is not None}
    where = f"{task_title(task)}, {METRIC_NAMES[study.primary_metric]} against {study.reference}: "
    if not compared:
        return where + "nothing can be concluded yet, as no comparison is complete."
    better = [a for a, c in compared.items() if c.dagger and c.difference is not None and c.difference.delta > 0]
    worse = [a for a, c in compared.items() if c.dagger and c.difference is not None and c.difference.delta < 0]
    open_ = [a for a, c in compared.items() if not c.dagger]
    said = []
    if better:
        said.append(f"{listing(better)} {'is' if len(better) == 1 else 'are'} better (p < .05)")
    if worse:
        said.append(f"{listing(worse)} {'is' if len(worse) == 1 else 'are'} worse (p < .05)")
    if open_:
        intervals = [d.interval for a in open_ if (d := compared[a].difference) is not None and d.interval.defined]
        widest = max((max(abs(x.low), abs(x.high)) for x in intervals), default=math.nan)
        limit = (
            f": differences up to {number(100 * widest, 1)} points are compatible with the data" if intervals else ""
        )
        said.append(f"for {listing(open_)} {UNDECIDED}{limit}")
    limits = (
        f"Only comparisons with {study.reference} are tested, so the order among the other rules is not; and a rule "
        "that was selected as the best on this test set must be confirmed on other subjects."
    )
    return f"{where}{'; '.join(said)}. {limits}"
