"""Checks of the `trials` records: required values of finished trials, and readable settings."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from agrm_study.report.checks.finding import Finding, Severity


def check_trials(
    trials: pd.DataFrame, broken_splits: Mapping[str, str], broken_rows: Mapping[str, str]
) -> tuple[pd.DataFrame, list[Finding]]:
    """The records with readable settings, and a finding for each finished trial that is excluded.

    Args:
        trials: The `trials` records, one row per trial.
        broken_splits: The rule that a split violates, by split fingerprint.
        broken_rows: Description of the damage to a record, by trial id.
    """
    findings: list[Finding] = []
    readable = trials["params"].map(_is_object).astype(bool)
    if not readable.all():
        trials = trials.assign(params=trials["params"].where(readable, "{}"))
    named = trials["versions"].map(_is_versions).astype(bool)
    if not named.all():
        trials = trials.assign(versions=trials["versions"].where(named, None))
    finished = trials["status"] == "finished"
    best, epochs = trials["best_epoch"], trials["epochs"]
    rules = (
        (~readable, "params must be a JSON object"),
        (~named, "versions must be a JSON object of lists of text"),
        (finished & (best.isna() | epochs.isna()), "a finished trial must have best_epoch and epochs"),
        (finished & ((best < 1) | (best > epochs)), "best_epoch must lie between 1 and epochs"),
        (
            finished & trials["split_fingerprint"].isin(list(broken_splits)),
            "its split cannot be used (see records/subjects)",
        ),
    )
    for row in _rows(trials[trials["trial_id"].isin(list(broken_rows))]):
        findings.append(trial_finding(row, broken_rows[str(row["trial_id"])]))
    for broken, rule in rules:
        findings += [trial_finding(row, rule) for row in _rows(trials[broken])]
    return trials, findings


def trial_finding(
    row: Mapping[str, object], rule: str, where: str = "records/trials", severity: Severity = "refuse"
) -> Finding:
    """A finding about the trial of a `trials` record."""
    return Finding(
        where=where,
        rule=rule,
        severity=severity,
        trial_id=str(row["trial_id"]),
        arm=str(row["arm"]),
        task=str(row["task"]),
        seed=int(str(row["seed"])),
    )


def _rows(trials: pd.DataFrame) -> list[dict[str, object]]:
    return [{str(name): value for name, value in row.items()} for row in trials.to_dict("records")]


def _is_versions(text: object) -> bool:
    """Whether a value of ``versions`` is valid; null is valid."""
    if not isinstance(text, str):
        return True
    try:
        value = json.loads(text)
    except ValueError:
        return False
    lists = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(found, list) and all(isinstance(v, str) for v in found) for found in lists)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
