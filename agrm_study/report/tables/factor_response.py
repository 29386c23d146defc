"""Table of the marginal effect of each factor of a grid, averaged over the other factors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from agrm_study.report import notes
from agrm_study.report.facts import by_cell, trial_facts
from agrm_study.report.idle import SAME
from agrm_study.report.measure import Measurements
from agrm_study.report.study_info import ArmInfo, StudyInfo
from agrm_study.report.table import Column, Entry, Row, Table, whole, words
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import seeds_marks
from agrm_study.report.tables.thresholds import values_entry
from agrm_study.report.wording import METRIC_NAMES, METRIC_TITLES, MISSING, bracket, percent
from agrm_study.study.seeds import NEED_ALL_ARMS
from agrm_study.study.settings import value_of
from agrm_study.study.tasks import task_title


def level_of(arm: ArmInfo, factor: str) -> Any:
    """The arm's value of a factor, as a JSON value."""
    value = value_of(arm.recipe, factor)
    return json.loads(value.model_dump_json()) if hasattr(value, "model_dump_json") else value


def levels(study: StudyInfo, factor: str) -> dict[str, list[str]]:
    """Arms by level of a factor, with levels in their natural order."""
    found: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for arm in study.arms:
        value = level_of(arm, factor)
        text = level_text(value)
        values[text] = value
        found.setdefault(text, []).append(arm.name)
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values.values())
    return {t: found[t] for t in (sorted(found, key=lambda t: values[t]) if numeric else found)}


def level_text(value: Any) -> str:
    """The value of a factor as displayed text."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False, default=list)


def varied(study: StudyInfo) -> tuple[str, ...]:
    """The factors of the study with at least two levels."""
    return tuple(f for f in study.factors if len(levels(study, f)) > 1)


def is_full_grid(study: StudyInfo) -> bool:
    """Whether the arms form a full factorial design: one arm for each combination of levels."""
    factors = varied(study)
    return bool(factors) and math.prod(len(levels(study, f)) for f in factors) == len(study.arms)


def acts(m: Measurements, factor: str) -> bool:
    """Whether a factor has an effect: its levels have different training runs."""
    trainings = [{m.training(arm) for arm in arms} for arms in levels(m.evidence.study, factor).values()]
    return any(trainings[0] != others for others in trainings[1:])


class FactorResponse(TableKind):
    """Marginal means of the primary metric by factor and level."""

    name: ClassVar[str] = "factor_response"
    question: ClassVar[str] = "What is the effect of each factor, averaged over the other factors?"

    def unfit(self, m: Measurements) -> str | None:
        study = m.evidence.study
        if study.race is not None:
            return f"the study uses a race: {NEED_ALL_ARMS[self.name]}"
        if not varied(study):
            return "the study does not cross any factors"
        if not any(acts(m, factor) for factor in varied(study)):
            return "the arms train identically: no factor has an effect"
        if not is_full_grid(study):
            return "the arms do not cross their factors: the mean of a level would include effects of other factors"
        return None

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        facts = trial_facts(m.evidence, m.evidence.trials)
        validation = f"val_{study.primary_metric}" if f"val_{study.primary_metric}" in facts else "val_macro_f1"
        scores = by_cell(m.evidence, facts, validation)
        rows = []
        for task in study.tasks:
            first = True
            for factor in varied(study):
                acting = acts(m, factor)
                for level, arms in levels(study, factor).items():
                    heading = task_title(task) if first and len(study.tasks) > 1 else None
                    rows.append(self._row(m, scores, task, factor, level, arms, acting, heading))
                    first = False
        metric = METRIC_NAMES[study.primary_metric]
        return Table(
            name=self.name,
            caption=f"Response of {metric} to each factor, averaged over the levels of the other factors.",
            columns=(
                Column(key="task", title="Task", shown=False),
                Column(key="factor", title="Factor", align="left"),
                Column(key="level", title="Level", align="left"),
                Column(key="arms", title="Arms"),
                Column(key="validation", title=f"Validation {METRIC_TITLES[validation.removeprefix('val_')]}"),
                Column(key=study.primary_metric, title=f"Test {METRIC_TITLES[study.primary_metric]} [95% CI]"),
            ),
            rows=tuple(rows),
            notes=(
                "Test: mean over the arms of a level and their seeds, with its interval over common seeds and "
                "subjects; a level has no mean if one of its arms has no finished seed or different test subjects. "
                "Validation: mean ± sample standard deviation (ddof 1) over trials. Choose settings on validation "
                "data, never on test data.",
                notes.replicates_note(m, [a.name for a in study.arms], study.tasks),
                notes.interval_note(m, study.tasks),
                *notes.gap_notes(m.evidence, [a.name for a in study.arms], study.tasks),
                notes.versions_note(m.evidence),
            ),
            partial=m.evidence.partial,
        )

    def _row(
        self,
        m: Measurements,
        scores_of: Mapping[tuple[str, str], Sequence[float]],
        task: str,
        factor: str,
        level: str,
        arms: Sequence[str],
        acting: bool,
        heading: str | None,
    ) -> Row:
        if not acting:
            unknown = Entry(text=MISSING).marked(SAME)
            return Row(
                entries=(words(task), words(factor), words(level), whole(len(arms)), unknown, unknown), heading=heading
            )
        scores = np.array([s for a in arms for s in scores_of.get((a, task), ())])
        entries = (
            words(task),
            words(factor),
            words(level),
            whole(len(arms)),
            values_entry(scores, sum(len(m.evidence.planned_seeds(a, task)) for a in arms)),
            self._test(m, task, arms),
        )
        return Row(entries=entries, heading=heading)

    def _test(self, m: Measurements, task: str, arms: Sequence[str]) -> Entry:
        d = m.average(arms, task)
        if d is None or not d.n:
            return Entry(text=MISSING)
        text = percent(d.delta) + (f" {bracket(d.interval)}" if d.interval.defined else "")
        parts = {"low": d.interval.low, "high": d.interval.high, "n": d.n}
        planned = max(len(m.evidence.planned_seeds(a, task)) for a in arms)
        return Entry(text=text, value=d.delta, parts=parts, marks=seeds_marks(d.n, planned))
