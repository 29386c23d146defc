"""Detection of finished trials with missing or damaged files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from agrm_study.records.digests import block_digests, read_blocks
from agrm_study.records.evaluations import evaluation_folders
from agrm_study.records.integrity import (
    DAMAGED,
    WEIGHTS,
    Fault,
    broken_records,
    broken_rows,
    broken_splits,
    broken_weights,
    must_have,
    verified,
)
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger
from agrm_study.records.removed_weights import without_removed
from agrm_study.records.schemas import Kind

_KINDS: Final[tuple[Kind, ...]] = ("epochs", "predictions")


def broken_trials(results: str | Path | Location, *, content: bool = True, weights: bool = False) -> dict[str, Fault]:
    """The first fault in the `trials` record, epochs, predictions or weights of each finished trial, by trial id;
    trials without faults are omitted.

    Includes every trial whose `trials` record is damaged, regardless of its recorded status. Weights that `clean`
    removed do not count as missing.

    Args:
        results: Results folder.
        content: Compare every record with its digest; otherwise only check that the files exist.
        weights: Compare the weights with their digests; otherwise only check that they exist.
    """
    location = Location.of(results)
    ledger = Ledger(location)
    rows = [row for row in ledger.table_of("trials").to_pylist() if row["status"] == "finished"]
    broken = broken_records(ledger) if content else {}
    for kind in _KINDS:
        there = ledger.recorded(kind)
        for row in rows:
            if must_have(row, kind) and row["trial_id"] not in there:
                broken.setdefault(row["trial_id"], Fault.of_record(kind, row["trial_id"], "is missing"))
    stored = {row["trial_id"]: row["weights_digest"] for row in rows if row["weights_digest"] is not None}
    stored = without_removed(location, stored)
    if weights:
        found = broken_weights(location, stored)
    else:
        found = dict.fromkeys(_without_weights(location, stored), "is missing")
    for trial_id, why in found.items():
        broken.setdefault(trial_id, Fault("weights", f"checkpoints/{trial_id}/{WEIGHTS}", why))
    return broken


def _without_weights(results: Location, trial_ids: Collection[str]) -> list[str]:
    return [t for t in trial_ids if not (results / "checkpoints" / t / WEIGHTS).exists()]


def check_results(results: str | Path | Location, *, weights: bool = True) -> list[str]:
    """Every fault in the records and weights of a results folder, as location and description; reads all content.

    Includes the records of evaluations on other data.

    Args:
        results: Results folder.
        weights: Whether the folder contains weights; a records bundle does not.
    """
    location = Location.of(results)
    ledger = Ledger(location)
    broken = broken_trials(location, weights=weights).values()
    found = [str(fault) for fault in broken if weights or fault.what != "weights"]
    subjects = ledger.table_of("subjects")
    found += [f"records/subjects/{fp}.parquet: {why}" for fp, why in broken_splits(subjects).items()]
    ledger.table_of("trials")
    for kind in _KINDS:
        ledger.table_of(kind)
    found += [f"{p.path}: {p.reason}" for p in ledger.problems]
    for name, folder in evaluation_folders(location).items():
        found += [f"{name}/{fault}" for fault in _broken_evaluations(folder)]
    return found


def _broken_evaluations(folder: Location) -> list[str]:
    """Records of an evaluated set that are missing, unreadable or damaged."""
    ledger = Ledger(folder)
    trials = ledger.table_of("trials")
    found = [f"records/trials of trial {trial_id}: {why}" for trial_id, why in broken_rows(trials).items()]
    rows = [row for row in trials.to_pylist() if row["status"] == "finished"]
    blocks = block_digests(ledger.table_of("predictions", [row["trial_id"] for row in rows]))
    for row in rows:
        there = blocks.get(row["trial_id"], {})
        for name, digest in read_blocks(row["predictions_digest"]).items():
            if there.get(name) != digest:
                why = DAMAGED if name in there else "is missing"
                found.append(f"records/predictions of trial {row['trial_id']}: the block {name} {why}")
    subjects = ledger.table_of("subjects")
    found += [f"records/subjects/{split}.parquet: {why}" for split, why in broken_splits(subjects).items()]
    return found + [f"{p.path}: {p.reason}" for p in ledger.problems]


def unverified_trials(results: str | Path | Location) -> int:
    """Number of finished trials without digests (version 0.1), whose content cannot be checked for damage."""
    rows = Ledger(results).table_of("trials").to_pylist()
    return sum(row["status"] == "finished" and not verified(row) for row in rows)
