"""Finished trials of a results folder whose weights can be evaluated."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agrm_study.plan.plan import Cell, parse_cells
from agrm_study.records.integrity import WEIGHTS, weights_digest
from agrm_study.records.location import Location
from agrm_study.records.no_results import no_results
from agrm_study.records.patience import retry_storage
from agrm_study.records.reader import Ledger
from agrm_study.records.removed_weights import why_without_weights
from agrm_study.study.counted import some
from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.own_trainer import require_shipped_trainer
from agrm_study.study.recipe import Recipe
from agrm_study.study.resolved import parse_resolved
from agrm_study.study.study import Study
from agrm_study.study.trained_recipe import trained_recipe

_SHOWN: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedNetwork:
    """A finished trial with saved weights.

    Attributes:
        row: Its `trials` record.
        arm: The first arm that uses the trial.
        fold, repeat: The fold used as its test part, and the repeat; None and 0 if there are no folds.
    """

    row: dict[str, Any]
    arm: str
    recipe: Recipe
    weights_digest: str
    fold: int | None = None
    repeat: int = 0

    @property
    def trial_id(self) -> str:
        """Id of the trial."""
        return str(self.row["trial_id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedNetworks:
    """The reported trials of the given arms.

    Attributes:
        networks: Trials that can be evaluated, in the order of the plan.
        without_weights: Cells of trials without weights, with the reason.
        unfinished: Number of planned trials that have not finished.
        cells: Cells of the given arms.
    """

    study: Study
    networks: tuple[FinishedNetwork, ...]
    without_weights: tuple[tuple[Cell, str], ...]
    unfinished: int
    cells: tuple[Cell, ...]


def finished_networks(results: Location, arms: Sequence[str]) -> FinishedNetworks:
    """The finished final trials of a results folder.

    Args:
        arms: Arms to include; all if empty.

    Raises:
        InputError: If the folder contains no results, an arm is unknown, the study has a user-defined trainer, or no
            trial with weights has finished.
    """
    content, plan = (results / "study.yaml").read(), (results / "plan.json").read()
    if content is None or plan is None:
        raise no_results(results.address, "study.yaml" if content is None else "plan.json")
    where = Path(results.address)
    study = parse_resolved(content, where / "study.yaml")
    require_shipped_trainer(study, results.address)
    every = parse_cells(plan, where / "plan.json")
    _check_arms(arms, list(dict.fromkeys(cell.arm for cell in every)))
    cells = tuple(cell for cell in every if not arms or cell.arm in arms)
    rows = {row["trial_id"]: row for row in retry_storage(lambda: Ledger(results).table_of("trials").to_pylist())}
    networks, without = [], []
    unfinished = 0
    for cell in {cell.trial_id: cell for cell in reversed(cells)}.values():
        row = rows.get(cell.trial_id)
        if row is None or row["status"] != "finished" or row["phase"] != "final":
            unfinished += 1
        elif (digest := _digest(results, row)) is None:
            without.append((cell, why_without_weights(results, cell.trial_id)))
        else:
            recipe = trained_recipe(study, row)
            networks.append(
                FinishedNetwork(
                    row=row,
                    arm=cell.arm,
                    recipe=recipe,
                    weights_digest=digest,
                    fold=cell.fold,
                    repeat=cell.repeat,
                )
            )
    if not networks:
        rule = without[0][1] if without else "no trial of the study has finished"
        raise InputError(
            rule,
            where=results.address,
            hint="To evaluate the study, run it in a new folder with `keep_weights: all`."
            if without
            else f"`agrm-study status {results.address}` shows its state.",
        )
    return FinishedNetworks(
        study=study,
        networks=tuple(reversed(networks)),
        without_weights=tuple(reversed(without)),
        unfinished=unfinished,
        cells=cells,
    )


def _digest(results: Location, row: dict[str, Any]) -> str | None:
    """Digest of a trial's weights, from its record or, if the record has none, from the file; None if missing."""
    file = results / "checkpoints" / str(row["trial_id"]) / WEIGHTS
    if row["weights_digest"] is not None:
        return str(row["weights_digest"]) if file.exists() else None
    content = file.read()
    return None if content is None else weights_digest(content)


def _check_arms(arms: Collection[str], known: list[str]) -> None:
    for arm in arms:
        if arm not in known:
            raise InputError(
                "must be an arm of the study",
                field="--arm",
                given=arm,
                allowed=some(known, _SHOWN),
                hint=did_you_mean(arm, known),
            )
