"""Upper bound on the time of trials, based on a few steps timed before any trial has run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import Final

from agrm_study.plan.cost import Cost
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.recipe import Recipe
from agrm_study.study.steps import steps_of

Pick = Callable[[Sequence[float]], float]

RECORD_BYTES: Final = 15_000
"""Size of a trial's records without rows, in bytes: three Parquet files with schemas, measured on small studies."""
EPOCH_BYTES: Final = 40
"""Compressed size of an epoch row with thirty numbers, in bytes."""
NAME_BYTES: Final = 8
"""Compressed size of the identifiers in a prediction row (subject, clip and window), in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """Measured step times for trials of one shape.

    Attributes:
        supervised: Seconds per step without unlabelled clips, one value per timed step.
        full: Seconds per step with unlabelled clips; empty for a method that does not use any.
        window: Seconds for evaluating one network on one window.
        network_bytes: Size of a network's weights and buffers.
    """

    supervised: tuple[float, ...]
    full: tuple[float, ...]
    window: tuple[float, ...]
    network_bytes: int


def bound_cost(
    trials: Iterable[TrialSpec],
    rehearsed: Mapping[str, Rehearsed],
    clips: Callable[[Recipe], Mapping[str, int]],
    *,
    inherited: Mapping[str, int] = MappingProxyType({}),
) -> Cost | None:
    """Upper bound on the time of trials, assuming that each runs to its last epoch.

    Args:
        trials: Missing trials.
        rehearsed: Measured step times, by trial.
        clips: Returns the number of clips in each part of a recipe's split.
        inherited: Number of initial epochs that a trial inherits from another trial, by trial; 0 by default.

    Returns:
        The time, and half the difference between the fastest and the slowest timed steps; None if no trial's shape was
        timed.
    """
    trials = tuple(trials)
    known = [trial for trial in trials if trial.trial_id in rehearsed]
    if not known:
        return None

    def hours(pick: Pick) -> float:
        seconds = (
            trial_seconds(
                trial.recipe, rehearsed[trial.trial_id], clips(trial.recipe), pick, inherited.get(trial.trial_id, 0)
            )
            for trial in known
        )
        return sum(seconds) / 3600

    return Cost(
        slot_hours=hours(fmean),
        plus_minus=(hours(max) - hours(min)) / 2,
        trials_covered=len(known),
        trials_unknown=len(trials) - len(known),
    )


def trial_seconds(
    recipe: Recipe, rehearsed: Rehearsed, clips: Mapping[str, int], pick: Pick = fmean, inherited: int = 0
) -> float:
    """Duration in seconds of a trial that runs to its last epoch.

    Steps are weighted by their number of clips. Each epoch ends with an evaluation on the validation part, and the
    trial ends with an evaluation on all labelled parts.

    Args:
        recipe: Recipe of the trial.
        rehearsed: Measured step times.
        clips: Number of clips in each part.
        pick: Reduces several measured times to one.
        inherited: Number of inherited epochs.
    """
    batch, ssl = recipe.batch, recipe.ssl
    steps = steps_of(recipe, clips["train"])
    supervised, window = pick(rehearsed.supervised), pick(rehearsed.window)
    beside = max(0.0, pick(rehearsed.full) - supervised) if rehearsed.full else 0.0
    shown = clips["train"] if recipe.steps_per_epoch is None else steps * min(batch.labelled, clips["train"])
    learned = supervised * shown / batch.labelled
    unlabelled = beside * steps * min(1.0, clips["unlabelled_train"] / batch.unlabelled)
    networks = 2 if recipe.has_average else 1
    windows = clips["val"] * recipe.evaluate.clips
    watched = clips["unlabelled_val"] * networks if recipe.uses_unlabelled and recipe.evaluate.unlabelled else 0
    before = max(0, min(recipe.epochs, ssl.pretrain_epochs) - inherited) if recipe.uses_unlabelled else 0
    after = recipe.epochs - inherited - before
    labelled = sum(clips[part] for part in ("train", "val", "test")) * recipe.evaluate.clips
    return (
        before * (learned + windows * window)
        + after * (learned + unlabelled + (windows * networks + watched) * window)
        + labelled * networks * window
    )


def record_bytes(recipe: Recipe, clips: Mapping[str, int]) -> int:
    """Approximate size of a trial's records in bytes: windows × networks × classes of the predictions, plus epoch rows.

    Args:
        recipe: Recipe of the trial.
        clips: Number of clips in each part.
    """
    networks = 2 if recipe.has_average else 1
    rows = sum(clips[part] for part in ("train", "val", "test")) * recipe.evaluate.clips * networks
    predictions = rows * (4 * len(recipe.classes) + NAME_BYTES)
    return RECORD_BYTES + predictions + recipe.epochs * (1 + networks) * EPOCH_BYTES
