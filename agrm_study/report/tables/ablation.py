"""Ablation table of the modules (Table 6 of the paper)."""

from __future__ import annotations

from typing import ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.study_info import ArmInfo, StudyInfo
from agrm_study.report.table import EMPTY, Column, Entry, Row, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import block, columns, difference_entry, shown_metrics, standard_notes
from agrm_study.report.wording import tasks_text
from agrm_study.study.seeds import NEED_ALL_ARMS

MODULES = (Column(key="mtm", title="MTM", align="center"), Column(key="shpm", title="SHPM", align="center"))


def four_arms(study: StudyInfo) -> tuple[str, str, str, str] | None:
    """Arms of a 2×2 ablation: full, without MTM, without SHPM, without both; None unless each has exactly one arm."""
    found: dict[tuple[bool, bool], list[str]] = {}
    for arm in study.arms:
        if arm.averages_only:
            continue
        found.setdefault((arm.has_mtm, arm.has_shpm), []).append(arm.name)
    order = [(True, True), (False, True), (True, False), (False, False)]
    if any(len(found.get(k, [])) != 1 for k in order):
        return None
    full, without_mtm, without_shpm, without_both = (found[k][0] for k in order)
    return full, without_mtm, without_shpm, without_both


def check(present: bool) -> Entry:
    """An entry with ✓ if the module is present, otherwise –."""
    return Entry(text="✓" if present else "–", value=int(present))


class Ablation(TableKind):
    """Arms with and without the Mean Teacher module and spatial hierarchical pooling."""

    name: ClassVar[str] = "ablation"
    question: ClassVar[str] = "Which module improves the results?"

    def unfit(self, m: Measurements) -> str | None:
        if m.evidence.study.race is not None:
            return f"the study uses a race: {NEED_ALL_ARMS[self.name]}"
        arms = m.evidence.study.arms
        kinds = {(a.has_mtm, a.has_shpm) for a in arms}
        return None if len(kinds) > 1 else "no two arms differ in a module (MTM, SHPM)"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        info = {a.name: a for a in study.arms}
        four = four_arms(study)

        def modules(arm: str, task: str) -> tuple[Entry, ...]:
            a: ArmInfo = info[arm]
            mtm = Entry(text="EMA only", value=0) if a.averages_only else check(a.has_mtm)
            return mtm, check(a.has_shpm)

        rows: list[Row] = []
        for task in study.tasks:
            rows += block(m, task, arms, modules)
            row = self._interaction(m, task, four)
            if row is not None:
                rows.append(row)
        explained: tuple[str, ...] = ()
        if four is not None and study.reference is not None:
            full, a, b, both = four
            explained = (f"Interaction: {full} − {a} − {b} + {both}; 0 if the gains of the two modules are additive.",)
        return Table(
            name=self.name,
            caption=f"Ablation of the Mean Teacher module (MTM) and spatial hierarchical pooling (SHPM) on the "
            f"{tasks_text(study.tasks)} task{'s' if len(study.tasks) > 1 else ''}.",
            columns=columns(m, MODULES),
            rows=tuple(rows),
            notes=(*explained, *standard_notes(m, arms, study.tasks)),
            partial=m.evidence.partial,
        )

    def _interaction(self, m: Measurements, task: str, four: tuple[str, str, str, str] | None) -> Row | None:
        if four is None or m.evidence.study.reference is None:
            return None
        d = m.interaction(four, task)
        if d is None:
            return None
        blank = [EMPTY] * (len(MODULES) + len(shown_metrics(m)) + 1)
        head = (Entry(text="", value=task), Entry(text="Interaction", value="Interaction"))
        planned = max(len(m.evidence.planned_seeds(a, task)) for a in four)
        return Row(entries=(*head, *blank, difference_entry(d, planned), EMPTY))
