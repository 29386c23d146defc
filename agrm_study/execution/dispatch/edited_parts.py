"""Trials that rerun because user-defined parts of the study were edited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agrm_study.plan.plan import Plan, parse_cells
from agrm_study.plan.trial import TrialSpec
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.schemas import PRUNED
from agrm_study.records.study_file import read_study
from agrm_study.study.counted import counted
from agrm_study.study.parts.names import full_name, is_own, short_name, source_of
from agrm_study.study.parts.use import used_parts
from agrm_study.study.study import Study


@dataclass(frozen=True, slots=True)
class EditedPart:
    """An entry under `parts:` whose code differs from its code in the recorded study.

    Attributes:
        trials: Trials to run whose cells had finished with the previous code.
    """

    written: str
    trials: tuple[TrialSpec, ...]
    arms: tuple[str, ...]

    def sentence(self, hours: float | None = None) -> str:
        """Explains why trials rerun, and the cost in slot-hours if known."""
        number = "" if hours is None else f"{hours:.1g}" if hours < 1 else f"{hours:.0f}"
        cost = f", about {number} slot-hours" if number else ""
        count = counted(len(self.trials), "trial")
        again = f"{count} of {', '.join(self.arms)} run again{cost}"
        return (
            f"{self.written} has changed since its trials were recorded: {again}. Undo the edit to keep the recorded "
            "trials."
        )


def edited_parts(
    study: Study, plan: Plan, missing: Iterable[TrialSpec], results: Location, finished: Iterable[str]
) -> tuple[EditedPart, ...]:
    """The edited parts of a previously recorded study, each with the trials that rerun because of the edit."""
    content = (results / "plan.json").read() if study.parts else None
    if content is None or not (results / "study.yaml").exists():
        return ()
    before = {(part.kind, part.name): part.source for part in read_study(results).parts}
    changed = {
        full_name(part.name, part.source): part.written
        for part in study.parts
        if before.get((part.kind, part.name), part.source) != part.source
    }
    done = set(finished)
    had = {(c.arm, c.task, c.seed) for c in parse_cells(content, results.address) if c.trial_id in done}
    again = {c.trial_id for c in plan.cells if (c.arm, c.task, c.seed) in had}
    found: dict[str, dict[str, TrialSpec]] = {}
    for trial in missing:
        for _, name in used_parts(trial.recipe):
            if name in changed and trial.trial_id in again:
                found.setdefault(changed[name], {})[trial.trial_id] = trial
    return tuple(
        EditedPart(
            written, tuple(trials.values()), tuple(dict.fromkeys(arm for t in trials for arm in plan.arms_of(t)))
        )
        for written, trials in found.items()
    )


def measured_trials(ledger: Ledger, study: Study) -> list[dict[str, Any]]:
    """Records of finished trials, from which time and disk space are estimated."""
    records = ledger.trials()
    finished = records[(records["status"] == "finished") & (records["stop_reason"] != PRUNED)]
    return _under_new_names([{str(k): v for k, v in row.items()} for row in finished.to_dict("records")], study)


def _under_new_names(rows: Iterable[Mapping[str, Any]], study: Study) -> list[dict[str, Any]]:
    """Records of finished trials under the new names of edited backbones, to estimate the time of their trials."""
    present = {part.name: full_name(part.name, part.source) for part in study.parts if part.kind == "backbone"}
    found = []
    for row in rows:
        name = row["backbone"]
        if isinstance(name, str) and is_own(name) and source_of(name) != source_of(present.get(short_name(name), name)):
            row = {**row, "backbone": present[short_name(name)]}
        found.append(dict(row))
    return found
