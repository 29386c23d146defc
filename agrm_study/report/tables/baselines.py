"""Table that compares the method with other networks trained in the same way (Table 5 of the paper)."""

from __future__ import annotations

from statistics import median
from typing import ClassVar

from agrm_study.report.measure import Measurements
from agrm_study.report.table import Column, Entry, Row, Table
from agrm_study.report.tables.base import TableKind
from agrm_study.report.tables.comparing import block, columns, standard_notes
from agrm_study.report.wording import MISSING, tasks_text

PARAMETERS = Column(key="parameters", title="Params (M)")
GFLOPS = Column(key="gflops", title="GFLOPs")
SPEED = Column(key="clips_per_s", title="Clips/s")
PARAMETERS_NOTE = "Params: trainable parameters, including the head."
FROZEN_NOTE = "Params: parameters, including the head and frozen layers."
GFLOPS_NOTE = "GFLOPs: forward pass on one clip; a multiply-add counts as two operations."


def by_arm(m: Measurements, column: str) -> dict[tuple[str, str], list[float]]:
    """Values of a column of the finished trials by (arm, task); empty if no trial has a value."""
    known = m.evidence.trials.set_index("trial_id")[column].dropna().to_dict()
    found: dict[tuple[str, str], list[float]] = {}
    for planned in m.evidence.planned:
        if planned.trial_id in known:
            found.setdefault((planned.arm, planned.task), []).append(float(known[planned.trial_id]))
    return found


def parameter_counts(m: Measurements) -> dict[tuple[str, str], int]:
    """Number of parameters of the finished trials, by (arm, task)."""
    return {key: int(values[-1]) for key, values in by_arm(m, "n_params").items()}


class Baselines(TableKind):
    """Arms with their metrics, parameters and, if they are recorded, operations and training throughput."""

    name: ClassVar[str] = "baselines"
    question: ClassVar[str] = "Is the method better than other networks trained in the same way?"

    def unfit(self, m: Measurements) -> str | None:
        backbones = {a.recipe.model.backbone for a in m.evidence.study.arms}
        return None if len(backbones) > 1 else "all arms have the same backbone"

    def build(self, m: Measurements) -> Table:
        study = m.evidence.study
        arms = [a.name for a in study.arms]
        counts, gflops, speeds = parameter_counts(m), by_arm(m, "gflops"), by_arm(m, "clips_per_s")
        shown = (PARAMETERS, *((GFLOPS,) if gflops else ()), *((SPEED,) if speeds else ()))

        def costs(arm: str, task: str) -> tuple[Entry, ...]:
            n, operations, speed = counts.get((arm, task)), gflops.get((arm, task)), speeds.get((arm, task))
            entries = {
                "parameters": Entry(text=MISSING) if n is None else Entry(text=f"{n / 1e6:.1f}", value=n),
                "gflops": _rounded(operations[-1] if operations else None),
                "clips_per_s": _rounded(median(speed) if speed else None),
            }
            return tuple(entries[column.key] for column in shown)

        rows: list[Row] = []
        for task in study.tasks:
            rows += block(m, task, arms, costs)
        return Table(
            name=self.name,
            caption=f"Comparison with baselines on the {tasks_text(study.tasks)} task"
            f"{'s' if len(study.tasks) > 1 else ''}; test part.",
            columns=columns(m, shown, arm_title="Model"),
            rows=tuple(rows),
            notes=(
                FROZEN_NOTE if any(a.recipe.model.freeze for a in study.arms) else PARAMETERS_NOTE,
                *((GFLOPS_NOTE,) if gflops else ()),
                *((_speed_note(m),) if speeds else ()),
                *standard_notes(m, arms, study.tasks),
            ),
            partial=m.evidence.partial,
        )


def _rounded(value: float | None) -> Entry:
    if value is None:
        return Entry(text=MISSING)
    return Entry(text=f"{value:.3g}" if value < 1000 else f"{value:.0f}", value=value)


def _speed_note(m: Measurements) -> str:
    devices = sorted(m.evidence.trials["device"].dropna().unique())
    where = devices[0] if len(devices) == 1 else f"{len(devices)} device types, so arms may not be comparable"
    return f"Clips/s: clips read per second during training, median over the trials, on {where}."
