"""Collection of the evidence: reads and checks a results folder, and lists the records that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from agrm_study.plan.plan import read_cells
from agrm_study.records.analysis_log import FILE as ANALYSIS
from agrm_study.records.analysis_log import analysis_changes
from agrm_study.records.integrity import DIGESTS, broken_rows
from agrm_study.records.location import Location
from agrm_study.records.no_results import no_results
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger, frame_of
from agrm_study.records.search_log import read_logs, search_names
from agrm_study.report.checks.epochs import check_epochs
from agrm_study.report.checks.finding import Finding, refused_trials
from agrm_study.report.checks.people import People, check_people
from agrm_study.report.checks.plan import check_plan
from agrm_study.report.checks.trials import check_trials
from agrm_study.report.collect_cells import VERSIONS, cells_of
from agrm_study.report.evaluated import evaluated_kinds
from agrm_study.report.evidence import Evidence
from agrm_study.report.study_info import ArmInfo, Planned, StudyInfo
from agrm_study.study.analysis import analysis_settings
from agrm_study.study.errors import InputError
from agrm_study.study.merge import with_values
from agrm_study.study.parts.use import with_full_names
from agrm_study.study.recipe import Recipe
from agrm_study.study.resolved import read_resolved
from agrm_study.study.study import Study


def collect(results: Path, *, allow: Collection[str] = ()) -> Evidence:
    """Read all data that a report needs from one results folder.

    Args:
        results: A folder written by `run`, on this or a different machine.
        allow: Differences accepted within a cell: ``code``, ``data``, ``split``.

    Raises:
        InputError: If the folder is not a results folder.
    """
    resolved = results / "study.yaml"
    if not resolved.is_file():
        raise no_results(results, "study.yaml")
    unknown = set(allow) - set(VERSIONS)
    if unknown:
        raise InputError("cannot be allowed to differ", given=sorted(unknown), allowed=", ".join(VERSIONS))
    found: list[Finding] = []
    ledger = Ledger(results)
    rows = ledger.table_of("trials")
    recorded = frame_of(rows, ["trial_id"])
    asked = read_resolved(resolved)
    planned = _plan(results / "plan.json", asked, recorded, found)
    race = RaceLog.read(Location.of(results)) if asked.race is not None else None
    if race is not None:
        planned = _still_asked(planned, race, recorded)
    people, wrong = check_people(ledger.table_of("subjects"))
    found += wrong
    recorded, wrong = check_trials(recorded, people.broken, broken_rows(rows))
    found += _of_plan(wrong, planned)
    planned, wrong = check_plan(planned, asked, _columns(recorded))
    found += wrong
    study = replace(study_info(asked, planned, recorded), evaluated=evaluated_kinds(Location.of(results)))
    trials = recorded[recorded["trial_id"].isin([p.trial_id for p in planned])].reset_index(drop=True)
    found += check_epochs(ledger, trials)
    found += _without_people(trials, people)
    found += _unverified(trials)
    found += _analysis(results, asked, trials)
    refused = refused_trials(found)
    part = cells_of(ledger, study, planned, trials, people, split="test", refused=refused, allow=allow)
    found += part.findings
    provenance = _json_object(results / "provenance.json", found)
    found += [Finding(where=p.path, rule=p.reason, severity="mark" if p.used else "refuse") for p in ledger.problems]
    return Evidence(
        results=results,
        study=study,
        planned=planned,
        trials=trials,
        searched=_searched(results, asked, recorded),
        cells=part.cells,
        people=people,
        provenance=provenance,
        problems=tuple(found),
        allow=tuple(allow),
        race=race,
    )


def _columns(trials: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Columns of the `trials` records used to check the plan, by trial id."""
    names = ["task", "seed", "phase", "arm", "params", "fold"]
    rows = zip(trials["trial_id"], *(trials[name] for name in names), strict=True)
    return {trial_id: dict(zip(names, values, strict=True)) for trial_id, *values in rows}


def _of_plan(found: Sequence[Finding], planned: Sequence[Planned]) -> list[Finding]:
    """The findings about planned trials; other trials of the folder are not reported."""
    wanted = {p.trial_id for p in planned}
    return [f for f in found if f.trial_id in wanted]


def _analysis(results: Path, study: Study, trials: pd.DataFrame) -> list[Finding]:
    """Findings about analysis settings that were not fixed before the first test record; version 0.1 fixed none."""
    if trials["row_digest"].isna().all():
        return []
    changes = analysis_changes(results, analysis_settings(study))
    return [Finding(where=ANALYSIS, rule=change, severity="mark") for change in changes]


def _unverified(trials: pd.DataFrame) -> list[Finding]:
    """Finding about the finished trials whose records have no digests."""
    finished = trials[trials["status"] == "finished"]
    old = int(finished[list(DIGESTS)].isna().all(axis=1).sum())
    rule = f"{old} of {len(finished)} finished trials are unverified: version 0.1 recorded no digests"
    return [Finding(where="records/trials", rule=rule, severity="mark")] if old else []


def _without_people(trials: pd.DataFrame, people: People) -> list[Finding]:
    """Findings about splits of finished trials without `subjects` records."""
    finished = trials[trials["status"] == "finished"]
    unknown = sorted(set(finished["split_fingerprint"].dropna()) - people.splits)
    rule = "is missing: the subjects and labels found in most trials are assumed for the split"
    return [Finding(where=f"records/subjects/{fp}.parquet", rule=rule, severity="mark") for fp in unknown]


def _still_asked(planned: Sequence[Planned], race: RaceLog, trials: pd.DataFrame) -> tuple[Planned, ...]:
    """The planned trials, except trials that a race made unnecessary."""
    finished = set(trials.loc[trials["status"] == "finished", "trial_id"])
    spared = race.spared([(p.arm, p.task, p.seed, p.trial_id) for p in planned], finished)
    return tuple(p for p in planned if (p.arm, p.task, p.seed) not in spared)


def _searched(results: Path, study: Study, trials: pd.DataFrame) -> pd.DataFrame:
    """The `trials` records of the latest searches, according to their logs; all search records if there is no log."""
    found = trials[(trials["phase"] == "search") & (trials["study"] == study.name)]
    logs = read_logs(Location.of(results), search_names(study))
    if logs:
        drawn = {trial_id for log in logs for point in log.proposals for trial_id in point.trial_ids}
        found = found[found["trial_id"].isin(drawn)]
    return found.reset_index(drop=True)


def study_info(study: Study, planned: Sequence[Planned], trials: pd.DataFrame) -> StudyInfo:
    """The parts of a resolved study used in a report; arms promoted by a search are read from the records."""
    arms = [
        ArmInfo(
            name=a.name,
            settings=dict(a.settings),
            recipe=a.recipe_on(study.first_task),
            seed_offset=a.seed_offset,
            space=a.space,
            tuned={task: its.settings for task, its in a.tuned.items()},
        )
        for a in study.arms
    ]
    known = {a.name for a in arms}
    promoted = dict.fromkeys(p.arm for p in planned if p.phase == "final" and p.arm not in known)
    if promoted:
        said = trials.drop_duplicates("arm").set_index("arm")["params"].to_dict()
        arms += [_promoted(study, arm, json.loads(said.get(arm, "{}"))) for arm in promoted]
    sampled = study.search or study.tune
    return StudyInfo(
        name=study.name,
        question=study.question,
        tasks=study.tasks,
        seeds=tuple(study.seeds),
        arms=tuple(arms),
        reference=study.reference,
        primary_metric=study.primary_metric,
        factors=study.factors,
        tables=study.report.tables,
        figures=study.report.figures,
        families=study.report.families,
        prevalences=study.report.prevalences,
        margin=study.report.margin,
        operating_points=study.report.operating_points,
        search_metric=None if sampled is None else sampled.metric[0],
        search_seeds=None if sampled is None else sampled.seeds,
        tune=study.tune,
        race=study.race,
        parts=study.parts,
        splits=study.splits,
    )


def _promoted(study: Study, arm: str, params: dict[str, Any]) -> ArmInfo:
    tree = with_values(study.base.settings(), params)
    recipe = with_full_names(Recipe.model_validate_json(json.dumps(tree)), study.parts)
    return ArmInfo(name=arm, settings=params, recipe=recipe)


def _plan(path: Path, study: Study, trials: pd.DataFrame, found: list[Finding]) -> tuple[Planned, ...]:
    """The planned trials, or the recorded ones if the plan cannot be read."""
    if path.is_file():
        try:
            return tuple(
                Planned(
                    arm=cell.arm,
                    task=cell.task,
                    seed=cell.seed,
                    split_seed=study.split_seed + cell.repeat,
                    trial_id=cell.trial_id,
                    fold=cell.fold,
                    repeat=cell.repeat,
                )
                for cell in read_cells(path)
            )
        except InputError as error:
            rule = f"{error.rule}; the planned seeds are inferred from the records"
            found.append(Finding(where=str(path), rule=rule, severity="mark"))
    else:
        rule = "is missing: the planned seeds are inferred from the records"
        found.append(Finding(where=str(path), rule=rule, severity="mark"))
    rows = trials[["arm", "task", "seed", "split_seed", "trial_id", "phase", "fold"]].to_dict("records")
    return tuple(_recorded(study, {str(k): v for k, v in row.items()}) for row in rows)


def _recorded(study: Study, row: dict[str, Any]) -> Planned:
    """The replicate of a `trials` record; a record without a fold, in a study with folds, belongs to fold 0."""
    fold = row.pop("fold")
    if study.splits is None:
        return Planned(**row)
    number = 0 if pd.isna(fold) else int(fold)
    return Planned(**row, fold=number, repeat=row["split_seed"] - study.split_seed)


def _json_object(path: Path, found: list[Finding]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        found.append(Finding(where=str(path), rule=f"must be JSON ({error})", severity="mark"))
        return {}
    return content if isinstance(content, dict) else {}
