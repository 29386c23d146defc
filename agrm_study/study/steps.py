"""Steps per epoch, and moving averages whose memory is specified in epochs."""

from __future__ import annotations

import math

from agrm_study.study.recipe import Recipe
from agrm_study.study.section import Section


def epoch_steps(clips: int, batch: int) -> int:
    """Training steps of one pass over the labelled clips.

    Args:
        clips: Number of labelled training clips.
        batch: Labelled clips per step (`batch.labelled`).
    """
    return math.ceil(clips / batch)


def steps_of(recipe: Recipe, clips: int) -> int:
    """Training steps per epoch: the fixed number, or one pass over the given number of labelled training clips."""
    fixed = recipe.steps_per_epoch
    return epoch_steps(clips, recipe.batch.labelled) if fixed is None else fixed


def policy_updates(recipe: Recipe, clips: int) -> float:
    """Number of updates per epoch of the moving averages of a threshold policy: one per step, or per round with
    `rounds`."""
    return 1 / recipe.ssl.pseudo.round_epochs if recipe.ssl.pseudo.mode == "rounds" else steps_of(recipe, clips)


def kept(memory_epochs: float, updates: float) -> float:
    """Decay of a moving average per update: 1 − 1/(memory_epochs · updates).

    Args:
        memory_epochs: Number of epochs after which the weight of a value has decayed to about 1/e.
        updates: Number of updates per epoch. For a memory shorter than one update, the decay is 0.
    """
    return max(0.0, 1.0 - 1.0 / (memory_epochs * updates))


def in_steps(recipe: Recipe, clips: int) -> Recipe:
    """The recipe with all `memory_epochs` converted to the equivalent alpha or momentum.

    Args:
        recipe: Any recipe.
        clips: Number of labelled training clips, excluding clips that rounds of pseudo-labelling add later.
    """
    ssl, changed = recipe.ssl, dict[str, Section]()
    if (memory := ssl.ema.memory_epochs) is not None:
        alpha = kept(memory, steps_of(recipe, clips))
        changed["ema"] = ssl.ema.model_copy(update={"alpha": alpha, "memory_epochs": None})
    if (memory := ssl.threshold.memory_epochs) is not None:
        momentum = kept(memory, policy_updates(recipe, clips))
        changed["threshold"] = ssl.threshold.model_copy(update={"momentum": momentum, "memory_epochs": None})
    return recipe.model_copy(update={"ssl": ssl.model_copy(update=changed)}) if changed else recipe
