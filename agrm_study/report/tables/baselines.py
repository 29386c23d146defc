"""Comparison table of the method and other networks trained in the same way (Table 5 of the paper)."""

from __future__ import annotations

from typing import ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Row, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import block, columns, standard_notes
from agrm_study.report.wording import MISSING, tasks_text

PARAMETERS = Column(key="parameters", title="Params (M)")


def parameter_counts(m: Measurements) -> dict[tuple[str, str], int]:
    """Trainable parameters by (arm, task), of the finished trials."""
    known = m.evidence.trials.set_index("trial_id")["n_params"].dropna().to_dict()
    return {(p.arm, p.task): int(known[p.trial_id]) for p in m.evidence.planned if p.trial_id in known}


class Baselines(TableKind):
    """Arms with their metrics and their number of parameters."""

    name: ClassVar[str] = "baselines"
    question: ClassVar[str] = "Is the method better than other networks trained in the same way?"

    def unfit(self, m: Measurements) -> str | None:
        backbones = {a.recipe.model.backbone for a in m.evidence.study.arms}
        return None if len(backbones) > 1 else "all arms have the same backbone"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        counts = parameter_counts(m)

        def parameters(arm: str, task: str) -> tuple[Entry, ...]:
            n = counts.get((arm, task))
            return (Entry(text=MISSING) if n is None else Entry(text=f"{n / 1e6:.1f}", value=n),)

        rows: list[Row] = []
        for task in study.tasks:
            rows += block(m, task, arms, parameters)
        return Table(
            name=self.name,
            caption=f"Comparison with baselines on the {tasks_text(study.tasks)} task"
            f"{'s' if len(study.tasks) > 1 else ''}; test part.",
            columns=columns(m, (PARAMETERS,), arm_title="Model"),
            rows=tuple(rows),
            notes=("Params: trainable parameters, head included.", *standard_notes(m, arms, study.tasks)),
            partial=m.evidence.partial,
        )
