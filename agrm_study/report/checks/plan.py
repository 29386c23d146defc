"""Checks of the plan: each replicate once, filled by a trial whose record agrees with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agrm_study.report.checks.finding import Finding, Severity
from agrm_study.report.evidence import Planned
from agrm_study.study.study import Study

WHERE = "plan.json"


def check_plan(
    planned: Sequence[Planned], study: Study, records: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[Planned, ...], list[Finding]]:
    """Checks the planned replicates; inconsistent ones stay planned, but without a trial.

    Args:
        planned: The cells of the plan.
        study: The resolved study.
        records: Rows of the `trials` record by trial id.

    Returns:
        Every replicate of the plan or the study, once, and the findings.
    """
    findings: list[Finding] = []
    by_cell: dict[tuple[str, str, int], list[Planned]] = {}
    for p in planned:
        by_cell.setdefault((p.arm, p.task, p.seed), []).append(p)
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
                _finding(first, f"a replicate must be planned once, found {len(found)} times; {said}", same)
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
    return replace(p, trial_id=f"none:{p.arm}/{p.task}/{p.seed}")


def _finding(p: Planned, rule: str, harmless: bool) -> Finding:
    """A finding about a replicate; the trial may still be valid for other replicates."""
    severity: Severity = "mark" if harmless else "refuse"
    rule = f"{rule} (trial {p.trial_id})"
    return Finding(where=WHERE, rule=rule, severity=severity, arm=p.arm, task=p.task, seed=p.seed)


def _contradiction(
    p: Planned, record: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], arms: set[str]
) -> str | None:
    """Contradiction between a trial's record and the cell that it fills, or None."""
    for name, asked in (("task", p.task), ("seed", p.seed), ("phase", p.phase)):
        if record[name] != asked:
            return f"its trial is recorded with {name} {record[name]!r}"
    other = record["arm"]
    if other == p.arm or other not in settings or other in arms:
        return None  # the arm was renamed, or shares the trial with an arm of equal settings
    if _settings(record) == settings.get(p.arm):
        return None  # two arms exchanged their names
    return f"its trial is recorded as one of arm {other!r}"


def _settings(record: Mapping[str, Any]) -> Any:
    try:
        return json.loads(record["params"])
    except ValueError:
        return None


def _missing(planned: Sequence[Planned], study: Study, findings: list[Finding]) -> list[Planned]:
    """Replicates of the study missing from the plan. Searches and races extend their plan during the run."""
    if study.search is not None or study.race is not None or not planned:
        return []
    known = {(p.arm, p.task, p.seed) for p in planned}
    asked = [(arm.name, task, seed) for arm in study.arms for task in study.tasks for seed in arm.seeds(study.seeds)]
    lost = [cell for cell in asked if cell not in known]
    if lost:
        arm, task, seed = lost[0]
        rule = f"lacks {len(lost)} of the {len(asked)} replicates that study.yaml asks for"
        findings.append(Finding(where=WHERE, rule=f"{rule} ({arm} on {task}, seed {seed} first)"))
    return [
        void(Planned(arm=arm, task=task, seed=seed, split_seed=study.split_seed, trial_id=""))
        for arm, task, seed in lost
    ]
