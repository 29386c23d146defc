"""Recorded trials, intact and damaged, and repairs of damaged trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agrm_study.execution.provenance import code_version
from agrm_study.records.files import RecordProblem
from agrm_study.records.integrity import Fault, broken_weights, verified
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, TrialState
from agrm_study.records.whole import broken_trials


@dataclass(frozen=True, slots=True)
class DamagedTrial:
    """A finished trial with a missing or damaged file; it counts as unfinished.

    Attributes:
        state: Its state in the ledger; unreliable if its `trials` record is damaged.
        fault: The first fault found.
    """

    state: TrialState
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTrials:
    """Trials of a results folder.

    Attributes:
        states: States of trials whose files are complete and intact, and of failed trials.
        damaged: Finished trials with a fault.
        problems: Files that cannot be read.
    """

    states: Mapping[str, TrialState]
    damaged: Mapping[str, DamagedTrial]
    problems: tuple[RecordProblem, ...]

    def attempts(self, trial_id: str) -> int:
        """Number of recorded starts, including starts of a damaged trial."""
        if trial_id in self.damaged:
            return self.damaged[trial_id].state.attempt
        return self.states[trial_id].attempt if trial_id in self.states else 0

    @property
    def unreadable(self) -> list[str]:
        """One sentence for each file that cannot be read."""
        return [f"{p.path} cannot be read and is treated as missing: {p.reason}" for p in self.problems]

    def faults(self, trial_ids: Collection[str]) -> list[str]:
        """One sentence for each damaged trial among the given trials."""
        faults = (damaged.fault for trial_id, damaged in self.damaged.items() if trial_id in trial_ids)
        return [f"{fault}; the trial is treated as unfinished." for fault in faults]


def read_known(results: Location) -> KnownTrials:
    """The trials of a results folder; reads the entire content of their records."""
    ledger = Ledger(results)
    states = ledger.states()
    faults = broken_trials(results)
    return KnownTrials(
        states={trial_id: state for trial_id, state in states.items() if trial_id not in faults},
        damaged={t: DamagedTrial(states[t], fault) for t, fault in faults.items() if t in states},
        problems=ledger.problems,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Healing:
    """Repairs of damaged trials.

    Attributes:
        predicted: Trials whose predictions are recomputed from their saved weights, without training.
        retrained: Trials that are trained again, with the reason.
    """

    predicted: frozenset[str]
    retrained: Mapping[str, str]

    @property
    def notes(self) -> list[str]:
        """One sentence for each kind of repair."""
        said = []
        if n := len(self.predicted):
            said.append(f"Damaged trials whose predictions are recomputed from saved weights, without training: {n}.")
        for reason, n in Counter(self.retrained.values()).items():
            said.append(f"Damaged trials that are trained again because {reason}: {n}.")
        return said


def healing(results: Location, known: KnownTrials, trial_ids: Iterable[str]) -> Healing:
    """Repairs of the damaged trials among the given trials; reads their weights."""
    damaged = {trial_id: known.damaged[trial_id].fault for trial_id in trial_ids if trial_id in known.damaged}
    rows: list[dict[str, Any]] = Ledger(results).table_of("trials", list(damaged)).to_pylist() if damaged else []
    reasons = {row["trial_id"]: _why_trained(row, damaged[row["trial_id"]]) for row in rows}
    kept = {row["trial_id"]: row["weights_digest"] for row in rows if not reasons[row["trial_id"]]}
    reasons |= dict.fromkeys(broken_weights(results, kept), "their weights are missing or damaged")
    retrained = {trial_id: reasons.get(trial_id, "their records cannot be read") for trial_id in damaged}
    return Healing(
        predicted=frozenset(trial_id for trial_id, reason in retrained.items() if not reason),
        retrained={trial_id: reason for trial_id, reason in retrained.items() if reason},
    )


def _why_trained(row: Mapping[str, Any], fault: Fault) -> str:
    """Reason why the lost predictions cannot be recomputed; empty if intact weights reproduce them."""
    if fault.what == "weights":
        return "their weights are missing or damaged"
    if fault.what != "predictions":
        return f"their {fault.what} records are missing or damaged"
    if not verified(row):
        return "their records have no digests"
    if row["weights_digest"] is None:
        return "their weights were not kept"
    if row["code_version"] != code_version():
        return "they were trained by a different version of the code"
    return ""
