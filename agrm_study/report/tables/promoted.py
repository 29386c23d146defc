"""Table of the arms promoted by a search, with test results for new seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from agrm_study.records.schemas import PRUNED
from agrm_study.report import notes
from agrm_study.report.facts import factor_values, of_arm, ran_to_end, trial_facts
from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Row, Table, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import block, columns, standard_notes
from agrm_study.report.tables.factor_response import level_text
from agrm_study.report.tables.thresholds import values_entry
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, MISSING, listing


def _point(settings: Mapping[str, Any]) -> str:
    """Canonical text of a point of the search space."""
    return json.dumps(settings, sort_keys=True)


class Promoted(TableKind):
    """The promoted arms: settings, validation score and test metrics."""

    name: ClassVar[str] = "promoted"
    question: ClassVar[str] = "Which settings did the search find, and how do they perform on test data?"

    def unfit(self, m: Measurements) -> str | None:
        none = m.evidence.searched.empty or m.evidence.study.tune is not None
        return "the study has no search phase that promotes arms" if none else None

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        facts = trial_facts(m.evidence, m.evidence.trials)
        metric = (study.search_metric or "val/macro_f1").replace("/", "_")

        percent = metric != "val_loss"
        searched = m.evidence.searched
        done = ran_to_end(searched)
        found = trial_facts(m.evidence, done)[metric]
        points = done.set_index("trial_id")["params"].map(lambda text: _point(json.loads(text)))
        seen = found.groupby(points.reindex(found.index)).mean().dropna().to_dict()  # mean over the seeds of a point

        def extra(arm: str, task: str) -> tuple[Entry, ...]:
            settings = dict(study.arm(arm).settings)
            said = ", ".join(f"{name} {level_text(value)}" for name, value in settings.items())
            picked = seen.get(_point(settings))
            planned = len(m.evidence.planned_seeds(arm, task))
            score = of_arm(m.evidence, facts, arm, task)[metric]
            return (
                words(said or MISSING),
                words(MISSING) if picked is None else values_entry(np.array([picked]), 1, percent=percent),
                values_entry(score, planned, percent=percent),
            )

        rows: list[Row] = []
        for task in study.tasks:
            rows += block(m, task, arms, extra)
        title, name = METRIC_TITLES[metric.removeprefix("val_")], METRIC_NAMES[metric.removeprefix("val_")]
        pruned = int((searched["stop_reason"] == PRUNED).sum())
        failed = int((searched["status"] == "failed").sum())
        other = [f"{pruned} ended early by the pruner"] * bool(pruned) + [f"{failed} failed"] * bool(failed)
        searched_note = (
            f"Search: {len(searched)} trials over {factor_values(searched).shape[1]} settings, "
            f"{listing([f'{len(done)} of them completed', *other])}. Search {title}: {name} of the search trial on "
            "validation data, which is optimistic, as the trial was selected by it. Search trials are never evaluated "
            "on the test part; these arms were trained again with new seeds."
        )
        extra_columns = (
            Column(key="settings", title="Settings", align="left", shown=False),
            Column(key=f"search_{metric}", title=f"Search {title}"),
            Column(key=metric, title=f"Validation {title}"),
        )
        return Table(
            name=self.name,
            caption="Settings that the search promoted, trained again and evaluated on the test part.",
            columns=columns(m, extra_columns),
            rows=tuple(rows),
            notes=(searched_note, *(standard_notes(m, arms, study.tasks) if arms else (notes.SCREENING,))),
            partial=m.evidence.partial,
        )
