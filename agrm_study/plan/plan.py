"""Plan of a study: the trials in execution order, and the table cells that each trial fills."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from agrm_study.plan.trial import TrialSpec
from agrm_study.study.errors import InputError
from agrm_study.study.splits import Fold
from agrm_study.study.temporary import replacing

PLAN_VERSION: Final = 1
"""Incremented when a key of plan.json is renamed or removed, or its meaning changes."""
_WRITTEN_AGAIN: Final = "Run the same study again with `agrm-study run` to recreate it."


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One replicate of a study; its trial may also fill other cells.

    Attributes:
        fold: The fold used as the test part; None in a study with a single split.
        repeat: Index of the fold repeat, added to the study's split seed.
    """

    arm: str
    task: str
    seed: int
    trial_id: str
    fold: int | None = None
    repeat: int = 0

    @classmethod
    def of(cls, trial: TrialSpec, arm: str, fold: Fold | None) -> Cell:
        """The cell of an arm that a trial fills."""
        place = {} if fold is None else {"fold": fold.number, "repeat": fold.repeat}
        return cls(arm=arm, task=trial.task, seed=trial.seed, trial_id=trial.trial_id, **place)


@dataclass(frozen=True, slots=True)
class _File:
    cells: tuple[Cell, ...]


_FILE: Final = TypeAdapter(_File)


@dataclass(frozen=True)
class Plan:
    """All trials of a study.

    Attributes:
        study: Name of the study.
        trials: Each trial once, in execution order.
        cells: Every arm × task × seed (× fold) with its trial, in the order of the study file.
    """

    study: str
    trials: tuple[TrialSpec, ...]
    cells: tuple[Cell, ...]

    @cached_property
    def by_id(self) -> dict[str, TrialSpec]:
        """Trials by id."""
        return {trial.trial_id: trial for trial in self.trials}

    @cached_property
    def _arms(self) -> dict[str, tuple[str, ...]]:
        arms: dict[str, dict[str, None]] = {}
        for cell in self.cells:
            arms.setdefault(cell.trial_id, {})[cell.arm] = None
        return {trial: tuple(names) for trial, names in arms.items()}

    def arms_of(self, trial_id: str) -> tuple[str, ...]:
        """The arms of a trial; more than one if their settings result in the same training."""
        return self._arms[trial_id]

    @property
    def merged(self) -> int:
        """Number of cells that reuse the trial of another cell."""
        return len(self.cells) - len(self.trials)

    def missing(self, finished: Collection[str]) -> tuple[TrialSpec, ...]:
        """The unfinished trials, in execution order."""
        done = finished if isinstance(finished, set | frozenset | dict) else set(finished)
        return tuple(trial for trial in self.trials if trial.trial_id not in done)


def _cell_to_dict(c: Cell) -> dict[str, Any]:
    fold = {} if c.fold is None else {"fold": c.fold, "repeat": c.repeat}
    return {"arm": c.arm, "task": c.task, "seed": c.seed, "trial_id": c.trial_id} | fold


def cells_text(plan: Plan) -> str:
    """Content of plan.json: a record contains one arm of its trial, whereas this file contains all of its arms."""
    value = {"plan_version": PLAN_VERSION, "study": plan.study, "cells": [_cell_to_dict(c) for c in plan.cells]}
    return json.dumps(value, indent=1) + "\n"


def write_cells(plan: Plan, path: Path) -> None:
    """Write `cells_text`; readers see either the complete old file or the complete new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(cells_text(plan).encode())


def read_cells(path: Path) -> tuple[Cell, ...]:
    """Read the file written by `write_cells`.

    Raises:
        InputError: If the file is missing, damaged or of a different version.
    """
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise InputError(f"the plan cannot be read: {fault.strerror}", where=path, hint=_WRITTEN_AGAIN) from None
    return parse_cells(content, path)


def parse_cells(content: bytes | str, where: Path | str) -> tuple[Cell, ...]:
    """The cells from a plan's content; ``where`` identifies it for messages.

    Raises:
        InputError: If the content is damaged or of a different version.
    """
    try:
        value = from_json(content)
        if value["plan_version"] != PLAN_VERSION:
            raise InputError(
                "was written by a different version",
                where=where,
                field="plan_version",
                given=value["plan_version"],
                allowed=str(PLAN_VERSION),
                hint="Use the version of agrm-study that wrote it.",
            )
        return _FILE.validate_json(content, strict=True).cells
    except ValidationError as fault:
        first = fault.errors()[0]
        place = "".join(f"[{part!r}]" for part in first["loc"])
        rule = f"is not a valid plan: {place}: {first['msg']}"
    except (ValueError, KeyError, TypeError) as fault:
        rule = f"is not a valid plan: {type(fault).__name__} {fault}"
    raise InputError(rule, where=where, hint=_WRITTEN_AGAIN)
