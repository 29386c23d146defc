"""What did the search find, and does it hold on test data with fresh seeds?"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.facts import factor_values, of_arm, trial_facts
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Row, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import block, columns, standard_notes
from agrm_study.report.tables.factor_response import level_text
from agrm_study.report.tables.thresholds import values_entry
from agrm_study.report.wording import METRIC_TITLES, MISSING


class Promoted(TableKind):
    """The promoted arms: their settings, their validation score, their test metrics."""

    name: ClassVar[str] = "promoted"
    question: ClassVar[str] = "What did the search find, and does it hold on test data?"

    def unfit(self, m: Measurements) -> str | None:
        return "the study has no search phase" if m.evidence.searched.empty else None

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        facts = trial_facts(m.evidence, m.evidence.trials)
        metric = (study.search_metric or "val/macro_f1").replace("/", "_")

        def extra(arm: str, task: str) -> tuple[Entry, ...]:
            said = ", ".join(f"{k.rsplit('.', 1)[-1]} {level_text(v)}" for k, v in study.arm(arm).settings.items())
            planned = len(m.evidence.planned_seeds(arm, task))
            score = of_arm(m.evidence, facts, arm, task)[metric]
            return words(said or MISSING), values_entry(score, planned, percent=metric != "val_loss")

        rows: list[Row] = []
        for task in study.tasks:
            rows += block(m, task, arms, extra)
        searched = m.evidence.searched
        done = searched[searched["status"] == "finished"]
        found = trial_facts(m.evidence, done)[metric].dropna()
        best = found.min() if metric == "val_loss" else found.max()
        shown = f"{100 * best:.1f}%" if metric != "val_loss" else f"{best:.3f}"
        searched_note = (
            f"The search ran {len(searched)} trials ({len(done)} finished) over "
            f"{factor_values(searched).shape[1]} settings; best {metric.replace('_', ' ', 1)} "
            f"{shown if np.isfinite(best) else MISSING}, an optimistic value: it was picked for being the best. "
            "Search trials never touch the test part; the arms below are trained anew with fresh seeds."
        )
        extra_columns = (
            Column(key="settings", title="Settings", align="left"),
            Column(key=metric, title=f"Validation {METRIC_TITLES[metric.removeprefix('val_')]}"),
        )
        return Table(
            name=self.name,
            caption="Settings that the search promoted, trained anew and judged on the test part.",
            columns=columns(m, extra_columns),
            rows=tuple(rows),
            notes=(searched_note, *(standard_notes(m, arms, study.tasks) if arms else (notes.SCREENING,))),
            partial=m.evidence.partial,
        )
