"""Cells of finished trials on external sets and on corrupted copies of the test part, from separate records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from agrm_study.records.digests import read_blocks
from agrm_study.records.evaluations import (
    EvaluatedSet,
    corrupted_parts,
    corruption_of,
    evaluation_folders,
    external_folder,
    external_names,
    external_part,
    has_robustness,
    read_set,
    robustness_folder,
)
from agrm_study.records.integrity import broken_rows, broken_splits
from agrm_study.records.location import Location
from agrm_study.records.reader import Ledger, frame_of
from agrm_study.report.cells import Cell
from agrm_study.report.checks.finding import Finding, Severity, refused_trials
from agrm_study.report.checks.people import People
from agrm_study.report.checks.trials import trial_finding
from agrm_study.report.collect_cells import cells_of
from agrm_study.report.evidence import Evidence


@dataclass(frozen=True, kw_only=True)
class ExternalCells:
    """Results of a study's trials on one external set.

    Attributes:
        about: Description of the set.
        cells: Available predictions by (arm, task).
        findings: Omitted or marked records, with the reason.
    """

    about: EvaluatedSet
    cells: Mapping[tuple[str, str], Cell]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class CorruptedCells:
    """Results of a study's trials on corrupted copies of the test part.

    Attributes:
        about: Description of the copies.
        severities: Evaluated severities by corruption.
        cells: Available predictions by (arm, task) for each (corruption, severity).
        findings: Omitted or marked records, with the reason.
    """

    about: EvaluatedSet
    severities: Mapping[str, tuple[int, ...]]
    cells: Mapping[tuple[str, int], Mapping[tuple[str, str], Cell]]
    findings: tuple[Finding, ...]


def evaluated_kinds(results: Location) -> tuple[str, ...]:
    """Kinds of evaluations in a results folder: ``external``, ``robustness``."""
    return tuple(dict.fromkeys(name.partition("/")[0] for name in evaluation_folders(results)))


def external_cells(evidence: Evidence) -> tuple[ExternalCells, ...]:
    """The evaluations on external sets, sorted by the name of the set."""
    found = []
    for name in external_names(evidence.results):
        folder, part = external_folder(evidence.results, name), external_part(name)
        about = read_set(folder)
        if about is None:
            found.append(_unreadable(name, f"external/{name}"))
            continue
        ledger = Ledger(folder)
        trials, findings = _trials(ledger, evidence, about, f"external/{name}")
        table = ledger.table_of("subjects")
        rows = frame_of(table.drop_columns(["rows_digest"]), ["split_fingerprint", "split", "subject_id"])
        labels = {
            (str(fingerprint), part): dict(zip(people["subject_id"], people["label"], strict=True))
            for fingerprint, people in rows.groupby("split_fingerprint")
        }
        damaged = trials[trials["split_fingerprint"].isin(list(broken_splits(table)))]
        for row in damaged.to_dict("records"):
            rule, where = "the subjects record of the set is damaged", f"external/{name}/records/subjects"
            findings.append(trial_finding({str(k): v for k, v in row.items()}, rule, where))
        cells = cells_of(
            ledger,
            evidence.study,
            evidence.planned,
            trials,
            People(rows=rows, labels=labels),
            split=part,
            refused=refused_trials(findings) | evidence.refused,
            allow=evidence.allow,
        )
        found.append(
            ExternalCells(
                about=about,
                cells=cells.cells,
                findings=(*findings, *_below(cells.findings, f"external/{name}"), *_problems(ledger)),
            )
        )
    return tuple(found)


def corrupted_cells(evidence: Evidence) -> CorruptedCells | None:
    """The evaluations on corrupted copies; None if there are none."""
    if not has_robustness(evidence.results):
        return None
    folder = robustness_folder(evidence.results)
    about, ledger = read_set(folder), Ledger(folder)
    if about is None:
        unread = _unreadable("robustness", "robustness")
        return CorruptedCells(about=unread.about, severities={}, cells={}, findings=unread.findings)
    trials, findings = _trials(ledger, evidence, about, "robustness")
    parts_of = [_recorded_parts(text) for text in trials["predictions_digest"]]
    parts = dict.fromkeys(part for recorded in parts_of for part in recorded)
    cells: dict[tuple[str, int], Mapping[tuple[str, str], Cell]] = {}
    people = evidence.people
    for part in parts:
        corruption = corruption_of(part)
        if corruption is None:
            continue
        labels = {(split, part): named for (split, of), named in people.labels.items() if of == "test"}
        found = cells_of(
            ledger,
            evidence.study,
            evidence.planned,
            trials[[part in recorded for recorded in parts_of]],
            replace(people, labels=labels),
            split=part,
            refused=refused_trials(findings) | evidence.refused,
            allow=evidence.allow,
        )
        cells[corruption] = found.cells
        findings += _below(found.findings, "robustness")
    return CorruptedCells(
        about=about,
        severities={kind: tuple(sorted(found)) for kind, found in corrupted_parts(parts).items()},
        cells=cells,
        findings=(*findings, *_problems(ledger)),
    )


def _trials(ledger: Ledger, evidence: Evidence, about: EvaluatedSet, where: str) -> tuple[pd.DataFrame, list[Finding]]:
    """The records of planned trials, and findings about records that are damaged, failed, or based on different weights
    or data."""
    table = ledger.table_of("trials")
    broken = broken_rows(table)
    recorded = frame_of(table, ["trial_id"])
    planned = {p.trial_id for p in evidence.planned}
    recorded = recorded[recorded["trial_id"].isin(planned)].reset_index(drop=True)
    weights = dict(zip(evidence.trials["trial_id"], evidence.trials["weights_digest"], strict=True))
    findings = []
    for row in recorded.to_dict("records"):
        trial_id, known = str(row["trial_id"]), weights.get(row["trial_id"])
        rule: str | None = None
        severity: Severity = "refuse"
        if trial_id in broken:
            rule = broken[trial_id]
        elif row["status"] != "finished":
            severity = "mark"
            first = str(row["error"] or "").partition("\n")[0]
            rule = f"its evaluation failed ({first})"
        elif row["data_fingerprint"] != about.data_fingerprint and where != "robustness":
            rule = "was evaluated on a different version of the set"
        elif isinstance(known, str) and row["weights_digest"] != known:
            rule = "was evaluated with weights that differ from its record"
        if rule is not None:
            named = {str(column): value for column, value in row.items()}
            findings.append(trial_finding(named, rule, f"{where}/records/trials", severity))
    return recorded, findings


def _recorded_parts(digests: Any) -> dict[str, None]:
    """Parts with predictions in the record of a trial, in the order of the record; empty for null."""
    return {name.rpartition("/")[0]: None for name in read_blocks(digests if isinstance(digests, str) else None)}


def _below(findings: tuple[Finding, ...], where: str) -> list[Finding]:
    """The findings, with locations relative to the results folder."""
    return [replace(finding, where=f"{where}/{finding.where}") for finding in findings]


def _problems(ledger: Ledger) -> list[Finding]:
    return [Finding(where=p.path, rule=p.reason, severity="mark" if p.used else "refuse") for p in ledger.problems]


def _unreadable(name: str, where: str) -> ExternalCells:
    about = EvaluatedSet(name=name, manifest="", data_fingerprint="", notes=[])
    rule = "cannot be read; run `agrm-study evaluate` again to recreate it"
    return ExternalCells(about=about, cells={}, findings=(Finding(where=f"{where}/set.json", rule=rule),))
