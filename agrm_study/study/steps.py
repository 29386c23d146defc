"""Steps of an epoch, and moving averages whose memory is given in epochs."""

from __future__ import annotations

import math

from agrm_study.study.recipe import Recipe
from agrm_study.study.section import Section


def epoch_steps(clips: int, batch: int, fixed: int | None = None) -> int:
    """Training steps of an epoch: the fixed number, or those of one pass over the labelled clips.

    Args:
        clips: Number of labelled training clips.
        batch: Labelled clips of a step (`batch.labelled`).
        fixed: `steps_per_epoch`.
    """
    return math.ceil(clips / batch) if fixed is None else fixed


def steps_of(recipe: Recipe, clips: int) -> int:
    """`epoch_steps` of a recipe with a number of labelled training clips."""
    return epoch_steps(clips, recipe.batch.labelled, recipe.steps_per_epoch)


def policy_updates(recipe: Recipe, clips: int) -> float:
    """Updates of a threshold policy's averages in an epoch: one per step, or with `rounds` one per round."""
    return 1 / recipe.ssl.pseudo.round_epochs if recipe.ssl.pseudo.mode == "rounds" else steps_of(recipe, clips)


def kept(memory_epochs: float, updates: float) -> float:
    """What a moving average keeps at each update: 1 − 1/(memory_epochs · updates).

    Args:
        memory_epochs: Epochs after which a value has decayed to 1/e, roughly.
        updates: Updates of an epoch. An average that remembers less than one update keeps nothing.
    """
    return max(0.0, 1.0 - 1.0 / (memory_epochs * updates))


def in_steps(recipe: Recipe, clips: int) -> Recipe:
    """The recipe with every `memory_epochs` as the alpha or momentum that it means.

    Args:
        recipe: Any recipe.
        clips: Number of labelled training clips. Clips that rounds of pseudo-labelling add later do not count.
    """
    ssl, changed = recipe.ssl, dict[str, Section]()
    if (memory := ssl.ema.memory_epochs) is not None:
        alpha = kept(memory, steps_of(recipe, clips))
        changed["ema"] = ssl.ema.model_copy(update={"alpha": alpha, "memory_epochs": None})
    if (memory := ssl.threshold.memory_epochs) is not None:
        momentum = kept(memory, policy_updates(recipe, clips))
        changed["threshold"] = ssl.threshold.model_copy(update={"momentum": momentum, "memory_epochs": None})
    return recipe.model_copy(update={"ssl": ssl.model_copy(update=changed)}) if changed else recipe
