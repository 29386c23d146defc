"""How do records become evidence? Reads a results folder, checks it, and names whatever cannot be used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from agrm_study.plan.plan import read_cells
from agrm_study.records.location import Location
from agrm_study.records.race_log import RaceLog
from agrm_study.records.reader import Ledger
from agrm_study.records.search_log import SearchLog
from agrm_study.report.cells import Cell, subject_probabilities
from agrm_study.report.evidence import ArmInfo, Evidence, Planned, Problem, StudyInfo
from agrm_study.study.errors import InputError
from agrm_study.study.labels import CLASSES
from agrm_study.study.merge import with_settings
from agrm_study.study.no_results import no_results
from agrm_study.study.problems import Place
from agrm_study.study.recipe import Recipe
from agrm_study.study.resolved import read_resolved
from agrm_study.study.settings import Setting
from agrm_study.study.study import Study

VERSIONS = {"code": "code_version", "data": "data_fingerprint", "split": "split_fingerprint"}
"""What must agree within a cell, and the column of the `trials` record that says it."""
PREDICTED = ("trial_id", "subject_id", "clip_id", "label", "logits")
"""Columns of the `predictions` record that a cell is made from."""


def collect(results: Path, *, allow: Collection[str] = ()) -> Evidence:
    """Reads everything a report needs from one results folder.

    Args:
        results: A folder that `run` wrote, here or elsewhere.
        allow: Differences that are accepted within a cell: ``code``, ``data``, ``split``.

    Raises:
        InputError: When the folder is not a results folder.
    """
    resolved = results / "study.yaml"
    if not resolved.is_file():
        raise no_results(results, "study.yaml")
    unknown = set(allow) - set(VERSIONS)
    if unknown:
        raise InputError("cannot be allowed to differ", given=sorted(unknown), allowed=", ".join(VERSIONS))
    problems: list[Problem] = []
    ledger = Ledger(results)
    trials = ledger.trials()
    asked = read_resolved(resolved)
    planned = _plan(results / "plan.json", asked, trials, problems)
    race = RaceLog.read(Location.of(results)) if asked.race is not None else None
    if race is not None:
        planned = _still_asked(planned, race, trials)
    study = study_info(asked, planned, trials)
    searched = _searched(results, study.name, trials)
    trials = trials[trials["trial_id"].isin([p.trial_id for p in planned])].reset_index(drop=True)
    cells = cells_of(ledger, study, planned, trials, problems, split="test", allow=allow)
    subjects = ledger.subjects()
    problems.extend(Problem(p.path, p.reason) for p in ledger.problems)
    return Evidence(
        results=results,
        study=study,
        planned=planned,
        trials=trials,
        searched=searched,
        cells=cells,
        subjects=subjects,
        provenance=_json_object(results / "provenance.json", problems),
        problems=tuple(problems),
        allow=tuple(allow),
        race=race,
    )


def _still_asked(planned: Sequence[Planned], race: RaceLog, trials: pd.DataFrame) -> tuple[Planned, ...]:
    """The planned trials without those that a race spared."""
    finished = set(trials.loc[trials["status"] == "finished", "trial_id"])
    spared = race.spared([(p.arm, p.task, p.seed, p.trial_id) for p in planned], finished)
    return tuple(p for p in planned if (p.arm, p.task, p.seed) not in spared)


def _searched(results: Path, study: str, trials: pd.DataFrame) -> pd.DataFrame:
    """The `trials` records of the search as it was asked for last, by search.json; without that file, all there are."""
    found = trials[(trials["phase"] == "search") & (trials["study"] == study)]
    log = SearchLog.read(Location.of(results))
    if log is not None:
        found = found[found["trial_id"].isin([proposal.trial_id for proposal in log.proposals])]
    return found.reset_index(drop=True)


def study_info(study: Study, planned: Sequence[Planned], trials: pd.DataFrame) -> StudyInfo:
    """The parts of a resolved study that a report speaks of; arms that a search promoted are read from the records."""
    arms = [ArmInfo(name=a.name, settings=dict(a.settings), recipe=a.recipe) for a in study.arms]
    known = {a.name for a in arms}
    promoted = dict.fromkeys(p.arm for p in planned if p.phase == "final" and p.arm not in known)
    if promoted:
        said = trials.drop_duplicates("arm").set_index("arm")["params"].to_dict()
        arms += [_promoted(study, arm, json.loads(said.get(arm, "{}"))) for arm in promoted]
    return StudyInfo(
        name=study.name,
        question=study.question,
        tasks=tuple(study.tasks),
        seeds=tuple(study.seeds),
        arms=tuple(arms),
        reference=study.reference,
        primary_metric=study.primary_metric,
        factors=study.factors,
        tables=study.report.tables,
        figures=study.report.figures,
        families=study.report.families,
        prevalences=study.report.prevalences,
        search_metric=None if study.search is None else study.search.metric[0],
        race=study.race,
    )


def _promoted(study: Study, arm: str, params: dict[str, Any]) -> ArmInfo:
    nowhere = Place(None)
    tree = with_settings(study.base.settings(), [Setting(name, value, nowhere) for name, value in params.items()])
    return ArmInfo(name=arm, settings=params, recipe=Recipe.model_validate_json(json.dumps(tree)))


def cells_of(
    ledger: Ledger,
    study: StudyInfo,
    planned: Sequence[Planned],
    trials: pd.DataFrame,
    problems: list[Problem],
    *,
    split: str,
    allow: Collection[str] = (),
    arms: Iterable[str] | None = None,
    network: str | None = None,
) -> dict[tuple[str, str], Cell]:
    """Cells of one part, by (arm, task); cells without a usable trial are left out.

    Args:
        ledger: The records.
        study: What was asked.
        planned: What should be there.
        trials: What is there.
        problems: Faults are appended here.
        split: ``train``, ``val`` or ``test``.
        allow: Differences accepted within a cell.
        arms: Only these; all by default.
        network: ``student`` or ``teacher``; by default the one that the arm's recipe names.
    """
    wanted = {a.name: network or a.network for a in study.arms if arms is None or a.name in set(arms)}
    finished = trials[trials["status"] == "finished"].set_index("trial_id", drop=False)
    phases = {"final"} if split == "test" else {"final", "search"}
    chosen = [p for p in planned if p.arm in wanted and p.trial_id in finished.index and p.phase in phases]
    cells: dict[tuple[str, str], Cell] = {}
    for task in study.tasks:
        mine = [p for p in chosen if p.task == task]
        if not mine:
            continue
        rows = []
        for name in sorted({wanted[p.arm] for p in mine}):
            ids = list(dict.fromkeys(p.trial_id for p in mine if wanted[p.arm] == name))
            rows.append(ledger.prediction_table(split, name, trial_ids=ids, columns=PREDICTED))
        every = list(dict.fromkeys(p.trial_id for p in mine))
        found = subject_probabilities(pa.concat_tables(rows), every, len(CLASSES[task]))
        problems.extend(Problem(f"records/predictions of trial {t}", rule) for t, rule in sorted(found.bad.items()))
        index = {t: i for i, t in enumerate(found.trial_ids)}
        versions = {k: finished[column].astype("str").to_dict() for k, column in VERSIONS.items()}
        by_arm: dict[str, list[Planned]] = {}
        for p in mine:
            if p.trial_id in index:
                by_arm.setdefault(p.arm, []).append(p)
        asked = Counter(p.arm for p in planned if p.task == task)
        for arm, replicates in by_arm.items():
            named = {k: {p.trial_id: v[p.trial_id] for p in replicates} for k, v in versions.items()}
            cell = Cell(
                arm=arm,
                task=task,
                classes=CLASSES[task],
                seeds=tuple(p.seed for p in replicates),
                planned=asked[arm],
                trial_ids=tuple(p.trial_id for p in replicates),
                subjects=found.subjects,
                labels_N=found.labels_N,
                probs_SNK=found.probs_TNK[[index[p.trial_id] for p in replicates]],
                network=wanted[arm],
                versions={k: tuple(sorted(set(v.values()))) for k, v in named.items()},
            )
            reason = _mixed(cell, replicates, named["split"], allow)
            if reason:
                problems.append(Problem(f"{arm} on {task}", reason))
                cell = cell.without(reason)
            cells[arm, task] = cell
    return cells


def cells_of_part(
    evidence: Evidence, split: str, *, arms: Iterable[str] | None = None, network: str | None = None
) -> dict[tuple[str, str], Cell]:
    """Cells of another part or network than the reported ones; faults in their records leave them out."""
    return cells_of(
        Ledger(evidence.results),
        evidence.study,
        evidence.planned,
        evidence.trials,
        [],
        split=split,
        arms=arms,
        network=network,
        allow=evidence.allow,
    )


def _mixed(cell: Cell, replicates: Sequence[Planned], split_of: dict[str, str], allow: Collection[str]) -> str | None:
    """What differs between the records of one cell although it must not."""
    for kind in ("code", "data"):
        if kind not in allow and len(cell.versions[kind]) > 1:
            return f"records of mixed {kind} in one cell ({', '.join(cell.versions[kind])})"
    if "split" not in allow:
        for split_seed in sorted({p.split_seed for p in replicates}):
            named = sorted({split_of[p.trial_id] for p in replicates if p.split_seed == split_seed})
            if len(named) > 1:
                return f"records of mixed split in one cell (split seed {split_seed}: {', '.join(named)})"
    return None


def _plan(path: Path, study: Study, trials: pd.DataFrame, problems: list[Problem]) -> tuple[Planned, ...]:
    """The planned trials; without a readable plan, the recorded ones."""
    if path.is_file():
        try:
            phases = dict(zip(trials["trial_id"], trials["phase"], strict=True))
            return tuple(
                Planned(
                    arm=cell.arm,
                    task=cell.task,
                    seed=cell.seed,
                    split_seed=study.split_seed,
                    trial_id=cell.trial_id,
                    phase=phases.get(cell.trial_id, "final"),
                )
                for cell in read_cells(path)
            )
        except InputError as error:
            problems.append(Problem(str(path), error.rule))
    else:
        problems.append(Problem(str(path), "is missing: which seeds were planned is taken from the records"))
    rows = trials[["arm", "task", "seed", "split_seed", "trial_id", "phase"]].to_dict("records")
    return tuple(Planned(**{str(k): v for k, v in row.items()}) for row in rows)


def _json_object(path: Path, problems: list[Problem]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        problems.append(Problem(str(path), f"must be JSON ({error})"))
        return {}
    return content if isinstance(content, dict) else {}
