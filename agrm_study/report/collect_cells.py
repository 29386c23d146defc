"""Cells of one part of the data, created from the predictions of the trials that pass every check."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from agrm_study.plan.canonical import canonical_json
from agrm_study.records.evaluations import corruption_of
from agrm_study.records.integrity import broken_block
from agrm_study.records.reader import Ledger
from agrm_study.report.cells import Cell
from agrm_study.report.checks.finding import Finding
from agrm_study.report.checks.people import People
from agrm_study.report.checks.predictions import Expected, check_predictions
from agrm_study.report.evidence import Evidence
from agrm_study.report.pooled_folds import incomplete_rule, pool, pooled_probabilities, row_of, rows_of
from agrm_study.report.predictions import PredictionRows, TrialPredictions, subject_probabilities
from agrm_study.report.study_info import ArmInfo, Planned, StudyInfo
from agrm_study.statistics.arrays import Floats
from agrm_study.statistics.comparison import Replicate
from agrm_study.study.splits import Splits
from agrm_study.study.tasks import Task

VERSIONS = {"code": "code_version", "data": "data_fingerprint", "split": "split_fingerprint"}
"""Versions that must agree within a cell, and their columns in the `trials` record."""
PREDICTED = ("trial_id", "subject_id", "clip_id", "epoch", "label", "logits")
"""Columns of the `predictions` record from which a cell is created."""
NOT_RECORDED = "not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCells:
    """Cells of one part by (arm, task), and the findings about its predictions."""

    cells: Mapping[tuple[str, str], Cell]
    findings: tuple[Finding, ...]


def cells_of(
    ledger: Ledger,
    study: StudyInfo,
    planned: Sequence[Planned],
    trials: pd.DataFrame,
    people: People,
    *,
    split: str,
    refused: Collection[str] = (),
    allow: Collection[str] = (),
    arms: Iterable[str] | None = None,
    network: str | Mapping[str, str] | None = None,
) -> PartCells:
    """Cells of one part; cells without a usable trial are omitted.

    Args:
        ledger: The records.
        study: The study and its arms.
        planned: The planned trials.
        trials: The recorded trials.
        people: Subjects in each part of each split.
        split: ``train``, ``val``, ``test``, or a part of `records.evaluations`. Folds are pooled if it is the test part
            or corrupted copies of it.
        refused: Trials that are excluded regardless of their predictions.
        allow: Differences accepted within a cell.
        arms: Arms to include; all by default.
        network: ``student``, ``teacher`` or ``ema``, for all arms or by arm; by default the network specified by an
            arm's recipe.
    """
    asked_of = network if isinstance(network, Mapping) else dict.fromkeys((a.name for a in study.arms), network)
    wanted = {a.name: asked_of[a.name] or a.network for a in study.arms if arms is None or a.name in set(arms)}
    finished = trials[trials["status"] == "finished"].set_index("trial_id", drop=False)
    of_test = split == "test" or corruption_of(split) is not None
    phases = {"final"} if of_test else {"final", "search"}
    usable = set(finished.index) - set(refused)
    chosen = [p for p in planned if p.arm in wanted and p.trial_id in usable and p.phase in phases]
    windows = {a.name: _windows(a) for a in study.arms if a.name in wanted}
    versions = {
        k: dict(zip(finished.index, finished[column].fillna(NOT_RECORDED).astype("object"), strict=True))
        for k, column in VERSIONS.items()
    }
    best_epoch = finished["best_epoch"].to_dict()
    configs = dict(zip(finished["trial_id"], finished["config_id"], strict=True))
    sealed = finished[finished["row_digest"].notna()]
    digests = dict(zip(sealed["trial_id"], sealed["predictions_digest"], strict=True))
    cells: dict[tuple[str, str], Cell] = {}
    findings: list[Finding] = []
    for task, definition in study.tasks.items():
        mine = [p for p in chosen if p.task == task]
        if not mine:
            continue
        expected = {
            p.trial_id: Expected(
                split=versions["split"][p.trial_id], best_epoch=int(best_epoch[p.trial_id]), windows=windows[p.arm]
            )
            for p in mine
        }
        table, bad = _read(ledger, mine, wanted, split, digests)
        rows = PredictionRows.of(table, list(expected), definition.n_classes)
        bad = check_predictions(rows, definition, split, expected, people, bad)
        first = {p.trial_id: p for p in reversed(mine)}
        findings += [
            Finding(
                where=f"records/predictions of trial {t}",
                rule=rule,
                trial_id=t,
                arm=first[t].arm,
                task=task,
                seed=first[t].seed,
            )
            for t, rule in sorted(bad.items())
        ]
        found = subject_probabilities(rows, bad)
        asked: dict[str, list[Planned]] = {}
        for p in planned:
            if p.task == task:
                asked.setdefault(p.arm, []).append(p)
        by_arm: dict[str, list[Planned]] = {}
        for p in mine:
            if p.trial_id not in bad:
                by_arm.setdefault(p.arm, []).append(p)
        index = {t: i for i, t in enumerate(found.trial_ids)}
        for arm, replicates in by_arm.items():
            whole = _Whole(arm, definition, found, index, wanted[arm], versions, study.splits)
            if study.splits is not None and of_test:
                pooled = pool(replicates, study.splits)
                if pooled.incomplete:
                    rule = incomplete_rule(pooled.incomplete, study.splits)
                    findings.append(Finding(where="records/trials", rule=rule, severity="mark", arm=arm, task=task))
                if not pooled.rows:
                    continue
                cell, reason = whole.pooled(pooled.rows, len(rows_of(asked[arm], study.splits)))
            else:
                cell, reason = whole.by_trial(replicates, len(asked[arm])), None
            reason = reason or _mixed(cell, replicates, versions["split"], configs, allow)
            if reason:
                findings.append(Finding(where="records/trials", rule=reason, arm=arm, task=task))
                cell = cell.without(reason)
            cells[arm, task] = cell
    return PartCells(cells=cells, findings=tuple(findings))


def cells_of_part(
    evidence: Evidence,
    split: str,
    *,
    arms: Iterable[str] | None = None,
    network: str | Mapping[str, str] | None = None,
) -> PartCells:
    """Cells of a part or network other than the reported one."""
    return cells_of(
        Ledger(evidence.results),
        evidence.study,
        evidence.planned,
        evidence.trials,
        evidence.people,
        split=split,
        refused=evidence.refused,
        arms=arms,
        network=network,
        allow=evidence.allow,
    )


def _windows(arm: ArmInfo) -> str:
    """Key shared by arms that evaluate the same windows of each clip."""
    recipe = arm.recipe
    return canonical_json({"clip": recipe.clip.model_dump(mode="json"), "clips": recipe.evaluate.clips})


def _read(
    ledger: Ledger,
    mine: Sequence[Planned],
    wanted: Mapping[str, str],
    split: str,
    stored: Mapping[str, str | None],
) -> tuple[pa.Table, dict[str, str]]:
    """Predictions of the selected network of each trial, and the trials whose rows are damaged."""
    tables = []
    bad: dict[str, str] = {}
    for name in sorted({wanted[p.arm] for p in mine}):
        ids = list(dict.fromkeys(p.trial_id for p in mine if wanted[p.arm] == name))
        table = ledger.prediction_table(split, name, trial_ids=ids, columns=PREDICTED)
        there = set(table["trial_id"].unique().to_pylist())
        bad |= broken_block(table, split, name, {t: stored[t] for t in ids if t in stored and t in there})
        tables.append(table)
    return pa.concat_tables(tables), bad


@dataclass(frozen=True, slots=True)
class _Whole:
    """Input for the cells of an arm on a task."""

    arm: str
    task: Task
    found: TrialPredictions
    index: Mapping[str, int]
    network: str
    versions: Mapping[str, Mapping[str, Any]]
    splits: Splits | None

    def by_trial(self, trials: Sequence[Planned], planned: int) -> Cell:
        """The cell with one row per trial; folds are not pooled."""
        seeds: tuple[Replicate, ...] = tuple(p.seed for p in trials)
        apart = None
        if self.splits is not None:
            apart = tuple(row_of(p, self.splits) for p in trials)
            seeds = tuple((row, p.fold) for row, p in zip(apart, trials, strict=True))
        probs = self.found.probs_TNK[[self.index[p.trial_id] for p in trials]]
        return replace(self._cell(trials, seeds, planned, probs), pooled_S=apart)

    def pooled(self, rows: Mapping[Replicate, Sequence[Planned]], planned: int) -> tuple[Cell, str | None]:
        """The cell with the folds of each row pooled, and the reason why it cannot be used (None if it can)."""
        trials = [p for found in rows.values() for p in found]
        at = [[self.index[p.trial_id] for p in found] for found in rows.values()]
        reason = None
        try:
            repeats = [found[0].repeat for found in rows.values()]
            probs, fold_SN = pooled_probabilities(self.found.probs_TNK, at, repeats)
        except ValueError as error:
            reason, fold_SN = str(error), np.full((len(rows), len(self.found.subjects)), -1)
            probs = np.full((*fold_SN.shape, self.task.n_classes), np.nan)
        cell = replace(self._cell(trials, tuple(rows), planned, probs), fold_SN=fold_SN)
        if reason is None and len({frozenset(np.flatnonzero(row >= 0)) for row in fold_SN}) > 1:
            reason = "its seeds have different subjects in the test parts of their folds"
        return cell, reason

    def _cell(self, trials: Sequence[Planned], seeds: tuple[Replicate, ...], planned: int, probs_SNK: Floats) -> Cell:
        return Cell(
            arm=self.arm,
            task=self.task.name,
            definition=self.task,
            seeds=seeds,
            planned=planned,
            trial_ids=tuple(p.trial_id for p in trials),
            subjects=self.found.subjects,
            labels_N=self.found.labels_N,
            probs_SNK=probs_SNK,
            network=self.network,
            versions={k: tuple(sorted({v[p.trial_id] for p in trials})) for k, v in self.versions.items()},
        )


def _mixed(
    cell: Cell,
    replicates: Sequence[Planned],
    split_of: Mapping[str, str],
    config_of: Mapping[str, str],
    allow: Collection[str],
) -> str | None:
    """Reason why the records of one cell cannot be combined (different versions or settings), or None."""
    for kind in ("code", "data"):
        if kind not in allow and len(cell.versions[kind]) > 1:
            return f"records with mixed {kind} versions in one cell ({', '.join(cell.versions[kind])})"
    by_split: dict[tuple[int, int | None], list[str]] = {}
    for p in replicates:
        by_split.setdefault((p.split_seed, p.fold), []).append(p.trial_id)
    for (split_seed, fold), trials in sorted(by_split.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
        named = sorted({split_of[trial_id] for trial_id in trials})
        if len(named) > 1 and "split" not in allow:
            where = f"split seed {split_seed}{'' if fold is None else f', fold {fold}'}"
            return f"records with mixed split versions in one cell ({where}: {', '.join(named)})"
    by_fold: dict[int | None, list[str]] = {}
    for p in replicates:
        by_fold.setdefault(p.fold, []).append(p.trial_id)
    for trials in by_fold.values():
        configs = sorted({config_of[trial_id] for trial_id in trials})
        if len(configs) > 1 and len(cell.versions["data"]) == 1:
            return f"records with different settings in one cell (config_id {', '.join(configs)})"
    return None
