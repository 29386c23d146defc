"""Selects the finished trial to export, and collects the scores of its arm's seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from agrm_study.export.scores import read_scores
from agrm_study.plan.plan import Cell, parse_cells
from agrm_study.records.integrity import check_weights
from agrm_study.records.location import Location
from agrm_study.records.no_results import no_results
from agrm_study.records.part_sources import kept_source
from agrm_study.records.reader import Ledger
from agrm_study.records.removed_weights import why_without_weights
from agrm_study.statistics.classification import METRICS
from agrm_study.statistics.part_scores import PartScores
from agrm_study.study.counted import counted, some
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.own_trainer import require_shipped_trainer
from agrm_study.study.parts.names import source_of
from agrm_study.study.parts.source import PartSource
from agrm_study.study.parts.use import used_parts
from agrm_study.study.recipe import Recipe
from agrm_study.study.reported import reported_network
from agrm_study.study.resolved import parse_resolved
from agrm_study.study.study import Study
from agrm_study.study.trained_recipe import trained_recipe

BY_USER: Final = "selected by the user"
"""Reason reported if the user selected the trial or the seed."""
_SHOWN = 6

_Training = tuple[int, int, int]
"""Seed, repeat and fold of a training run; repeat and fold are 0 in a study without folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The trial to export.

    Attributes:
        row: The trial's `trials` record.
        arm: The selected arm; other arms may share the trial.
        recipe: All settings of the trial.
        network: The reported network, ``teacher``, ``ema`` or ``student``.
        seeds: Ids of the arm's finished trials on the task, by seed, including this trial; in a study with folds, only
            trials of the same fold.
        scores: Scores of these trials, by part (``val``, ``test``) and trial id.
        reason: Reason for the selection; starts with `BY_USER` if the user selected the trial or the seed.
    """

    row: dict[str, Any]
    arm: str
    recipe: Recipe
    network: str
    seeds: dict[int, str]
    scores: dict[str, dict[str, PartScores]]
    reason: str

    @property
    def trial_id(self) -> str:
        """Id of the trial."""
        return str(self.row["trial_id"])

    @property
    def fold(self) -> int | None:
        """The fold used as the trial's test part; None in a study with a single split."""
        return None if pd.isna(self.row["fold"]) else int(self.row["fold"])


class FinishedStudy:
    """The finished final trials of a results folder, local or in an object store.

    Args:
        results: Results folder; a local path or a URI.

    Raises:
        InputError: If the folder contains no results, or no final trial has finished.
    """

    def __init__(self, results: str | Path) -> None:
        self.location, self.name = Location.of(results), str(results)
        content = (self.location / "study.yaml").read()
        plan = (self.location / "plan.json").read()
        if content is None or plan is None:
            raise no_results(self.name, "study.yaml" if content is None else "plan.json")
        where = Path(self.name)
        self.study: Study = parse_resolved(content, where / "study.yaml")
        require_shipped_trainer(self.study, where)
        self._cells = parse_cells(plan, where / "plan.json")
        self._ledger = Ledger(self.location)
        trials = self._ledger.trials()
        final = trials[(trials["status"] == "finished") & (trials["phase"] == "final")]
        self._rows: dict[str, dict[str, Any]] = {
            str(row["trial_id"]): {str(name): value for name, value in row.items()} for row in _rows(final)
        }
        if not self._rows:
            raise InputError(
                "no trial of the final phase has finished (search trials have no saved weights)",
                where=self.name,
                hint=f"`agrm-study status {self.name}` shows the running trials.",
            )

    def by_id(self, prefix: str) -> Choice:
        """The trial whose id starts with a prefix.

        Raises:
            InputError: If no trial or more than one trial matches.
        """
        found = sorted(name for name in self._rows if name.startswith(prefix))
        if len(found) != 1:
            rule = "must be the id of a finished trial, or a prefix of it"
            raise InputError(
                rule if not found else "the prefix matches several trial ids",
                field="TRIAL",
                given=prefix,
                allowed=some(found or sorted(self._rows), _SHOWN),
                hint=did_you_mean(prefix, self._rows) or "Or omit it and select an arm with --arm NAME.",
            )
        row = self._rows[found[0]]
        own = [cell.arm for cell in self._cells if cell.trial_id == found[0]]
        arm = str(row["arm"]) if not own or str(row["arm"]) in own else own[0]
        return self._choice(found[0], arm, str(row["task"]), BY_USER)

    def best(self, arm: str | None, task: str | None, seed: int | None) -> Choice:
        """The trial of an arm with the best validation metric.

        Args:
            arm: Defaults to the reference; without a reference, to the arm with the best mean on validation data.
            task: Defaults to the first task of the study.
            seed: Select this seed instead of the best one.

        Raises:
            InputError: If the arm, task or seed is unknown, or none of its trials has finished.
        """
        task = _known("--task", task, list(self.study.tasks))
        arms = list(dict.fromkeys(cell.arm for cell in self._cells if cell.task == task))
        if arm is not None:
            _known("--arm", arm, arms)
        chosen = arm or (self.study.reference if self.study.reference in arms else None)
        metric = self.study.primary_metric if self.study.primary_metric in METRICS else "macro_f1"
        wanted = [chosen] if chosen is not None else arms
        values: dict[str, dict[_Training, float]] = {}
        for name in wanted:
            finished = self._finished(name, task)
            scores = self._scores("val", list(finished.values()))
            values[name] = {s: scores[t].metrics[metric] for s, t in finished.items() if t in scores}
        values = {name: of_seed for name, of_seed in values.items() if of_seed}
        if not values:
            raise InputError(
                "must be an arm with a finished trial",
                field="--arm",
                given=chosen,
                hint=f"`agrm-study status {self.name}` shows the running trials.",
            )
        winner = max(values, key=lambda name: sum(values[name].values()) / len(values[name]))
        of_seed = values[winner]
        seeds = list(dict.fromkeys(training[0] for training in of_seed))
        if seed is not None and seed not in seeds:
            raise InputError(
                "must be a seed with a finished trial", field="--seed", given=seed, allowed=", ".join(map(str, seeds))
            )
        mine = [training for training in of_seed if seed is None or training[0] == seed]
        best = max(mine, key=lambda training: (of_seed[training], *(-part for part in training)))
        several = counted(len(mine), "seed")
        if self.study.splits is not None:
            several = f"{counted(len(mine), 'training run')} over seeds and folds"
        why = BY_USER if len(mine) == 1 and seed is not None else f"best validation {metric} of {several}"
        if chosen is None and len(arms) > 1:
            why += "; the arm has the best mean on validation data"
        return self._choice(self._finished(winner, task)[best], winner, task, why)

    def weights(self, choice: Choice) -> bytes:
        """Content of the trial's ``best.safetensors``.

        Raises:
            InputError: If the weights were not saved, were removed by `clean`, or are damaged.
        """
        file = self.location / "checkpoints" / choice.trial_id / "best.safetensors"
        content = file.read()
        if content is None:
            raise InputError(
                why_without_weights(self.location, choice.trial_id),
                where=file.path,
                hint="Export a different seed (--seed), or run the study in a new folder with `keep_weights: all`.",
            )
        check_weights(content, choice.row["weights_digest"], file.path)
        return content

    def _choice(self, trial_id: str, arm: str, task: str, reason: str) -> Choice:
        row = self._rows[trial_id]
        recipe = trained_recipe(self.study, row)
        finished = self._finished(arm, task)
        folds = {training[1:] for training, found in finished.items() if found == trial_id}
        seeds = {training[0]: found for training, found in finished.items() if training[1:] in folds}
        seeds |= {int(row["seed"]): trial_id}
        scores = {part: self._scores(part, list(seeds.values())) for part in ("val", "test")}
        return Choice(
            row=row,
            arm=arm,
            recipe=recipe,
            network=scores["val"][trial_id].network if trial_id in scores["val"] else reported_network(recipe),
            seeds=dict(sorted(seeds.items())),
            scores=scores,
            reason=reason,
        )

    def _finished(self, arm: str, task: str) -> dict[_Training, str]:
        cells: list[Cell] = [c for c in self._cells if (c.arm, c.task) == (arm, task) and c.trial_id in self._rows]
        return {(cell.seed, cell.repeat, cell.fold or 0): cell.trial_id for cell in cells}

    def _scores(self, part: str, trials: list[str]) -> dict[str, PartScores]:
        if not trials:
            return {}
        network = reported_network(trained_recipe(self.study, self._rows[trials[0]]))
        return read_scores(self._ledger, part, network, trials)

    def sources(self, choice: Choice) -> list[PartSource]:
        """Source code of the user-defined parts that a trial uses.

        Raises:
            InputError: If the results folder does not contain it.
        """
        found = []
        for _, name in used_parts(choice.recipe):
            source = kept_source(self.location, source_of(name))
            if source is None:
                raise InputError("the source code of a user-defined part was not saved", where=self.name, given=name)
            found.append(source)
        return found


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return [dict(row) for row in frame.to_dict("records")]


def _known(field: str, given: str | None, names: list[str]) -> str:
    if given is not None and given not in names:
        raise InputError(
            "not in this study", field=field, given=given, allowed=some(names, _SHOWN), hint=did_you_mean(given, names)
        )
    return names[0] if given is None else given
