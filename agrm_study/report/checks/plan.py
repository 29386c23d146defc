"""Checks of the plan: each replicate occurs once, and the record of its trial agrees with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agrm_study.report.checks.finding import Finding, Severity
from agrm_study.report.study_info import Planned
from agrm_study.study.study import Study

WHERE = "plan.json"

_Key = tuple[str, str, int, int, int | None]
"""Key of a planned replicate: arm, task, seed, repeat and fold."""


def check_plan(
    planned: Sequence[Planned], study: Study, records: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[Planned, ...], list[Finding]]:
    """Check the planned replicates; inconsistent ones remain planned, but without a trial.

    Args:
        planned: The cells of the plan.
        study: The resolved study.
        records: Rows of the `trials` record by trial id.

    Returns:
        Every replicate of the plan or the study, once, and the findings.
    """
    findings: list[Finding] = []
    by_cell: dict[_Key, list[Planned]] = {}
    for p in planned:
        by_cell.setdefault(_key(p), []).append(p)
    arms_of: dict[str, set[str]] = {}
    for p in planned:
        arms_of.setdefault(p.trial_id, set()).add(p.arm)
    settings = {arm.name: dict(arm.settings) for arm in study.arms}
    out: list[Planned] = []
    for found in by_cell.values():
        rule = None
        first = found[0]
        if len(found) > 1:
            same = len({p.trial_id for p in found}) == 1
            said = "it is counted once" if same else "none of its trials is used"
            findings.append(
                _finding(first, f"a replicate must be planned exactly once, found {len(found)} times; {said}", same)
            )
            if not same:
                out.append(void(first))
                continue
        record = records.get(first.trial_id)
        if record is not None:
            rule = _contradiction(first, record, settings, arms_of[first.trial_id])
        if rule is not None:
            findings.append(_finding(first, rule, False))
        out.append(first if rule is None else void(first))
    return (*out, *_missing(out, study, findings)), findings


def void(p: Planned) -> Planned:
    """A copy of the replicate without its trial."""
    fold = "" if p.fold is None else f"/{p.repeat}/{p.fold}"
    return replace(p, trial_id=f"none:{p.arm}/{p.task}/{p.seed}{fold}")


def _finding(p: Planned, rule: str, harmless: bool) -> Finding:
    """A finding about a replicate; the trial may still be valid for other replicates."""
    severity: Severity = "mark" if harmless else "refuse"
    rule = f"{rule} (trial {p.trial_id})"
    return Finding(where=WHERE, rule=rule, severity=severity, arm=p.arm, task=p.task, seed=p.seed)


def _contradiction(
    p: Planned, record: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], arms: set[str]
) -> str | None:
    """Contradiction between the record of a trial and its planned cell, or None."""
    for name, asked in (("task", p.task), ("seed", p.seed), ("phase", p.phase)):
        if record[name] != asked:
            return f"its trial is recorded with {name} {record[name]!r}"
    fold = record.get("fold")  # null in the record of a study without folds, whose trial belongs to fold 0
    if p.fold is not None and (0 if fold is None or fold != fold else int(fold)) != p.fold:
        return f"its trial is recorded with fold {fold!r}"
    other = record["arm"]
    if other == p.arm or other not in settings or other in arms:
        return None  # the arm was renamed, or shares the trial with an arm that has the same settings
    if _settings(record) == settings.get(p.arm):
        return None  # two arms swapped their names
    return f"its trial is recorded under arm {other!r}"


def _settings(record: Mapping[str, Any]) -> Any:
    try:
        return json.loads(record["params"])
    except ValueError:
        return None


def _missing(planned: Sequence[Planned], study: Study, findings: list[Finding]) -> list[Planned]:
    """Replicates of the study missing from the plan. Searches and races extend their plan during the run."""
    if study.search is not None or study.race is not None or not planned:
        return []
    known = {_key(p) for p in planned}
    asked = [
        Planned(
            arm=arm.name,
            task=task,
            seed=seed,
            split_seed=study.split_seed + (0 if fold is None else fold.repeat),
            trial_id="",
            fold=None if fold is None else fold.number,
            repeat=0 if fold is None else fold.repeat,
        )
        for arm in study.arms
        for task in study.tasks
        for fold in study.folds()
        for seed in arm.seeds(study.seeds)
    ]
    lost = [p for p in asked if _key(p) not in known]
    if lost:
        first = lost[0]
        rule = f"lacks {len(lost)} of the {len(asked)} replicates requested by study.yaml"
        fold = "" if first.fold is None else f", fold {first.fold}"
        findings.append(
            Finding(where=WHERE, rule=f"{rule} (first: {first.arm} on {first.task}, seed {first.seed}{fold})")
        )
    return [void(p) for p in lost]


def _key(p: Planned) -> _Key:
    return p.arm, p.task, p.seed, p.repeat, p.fold
