"""Training steps of a study's arms, and the memory of their moving averages in steps and epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agrm_study.plan.acting import idle_settings
from agrm_study.plan.epochs import weight_key
from agrm_study.study.counted import counted
from agrm_study.study.parts.names import is_own
from agrm_study.study.recipe import Recipe
from agrm_study.study.steps import in_steps, policy_updates, steps_of
from agrm_study.study.study import Study

ClipCounts = Callable[[Recipe], Mapping[str, int]]
"""Number of clips in each part of a recipe's split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Average:
    """A moving average of a recipe.

    Attributes:
        setting: Dotted name of the setting for the fraction retained at each update: alpha or momentum.
        keep: Value of the setting.
        per_epoch: Updates per epoch.
        updates: Total number of updates.
    """

    setting: str
    keep: float
    per_epoch: float
    updates: float

    @property
    def memory(self) -> float:
        """Memory in updates, 1/(1 − keep)."""
        return 1 / (1 - self.keep)

    @property
    def too_long(self) -> bool:
        """Whether the memory exceeds the number of updates, so that the initial value still contributes at the end."""
        return self.memory > self.updates


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSteps:
    """Training length of an arm on a task.

    Attributes:
        clips: Number of labelled training clips.
        per_epoch: Training steps per epoch.
        epochs: Maximum number of epochs.
        averages: Moving averages used in training.
    """

    arm: str
    task: str
    clips: int
    per_epoch: int
    epochs: int
    averages: tuple[Average, ...]


def arm_steps(study: Study, clips: ClipCounts) -> tuple[ArmSteps, ...]:
    """The steps of every arm and task of a study; for a search, the steps of its base recipe.

    The result is empty for a user-defined trainer, whose steps are unknown.

    Args:
        study: The study.
        clips: Returns the number of clips in each part of a recipe's split.
    """
    arms = [(arm.name, arm.recipe_on) for arm in study.arms] or [("base", lambda task: study.base)]
    found = []
    for name, recipe_on in arms if not study.base.own_trainer else ():
        for task in study.tasks:
            whole = recipe_on(task).model_copy(update={"task": task, "split_seed": study.split_seed})
            _, recipe = next(study.divided(whole))  # the sizes of a part differ little between folds
            count = clips(recipe)["train"]
            found.append(
                ArmSteps(
                    arm=name,
                    task=task,
                    clips=count,
                    per_epoch=steps_of(recipe, count),
                    epochs=recipe.epochs,
                    averages=averages_of(recipe, count),
                )
            )
    return tuple(found)


def averages_of(recipe: Recipe, clips: int) -> tuple[Average, ...]:
    """The moving averages used by a recipe, with the fraction that they retain at each update.

    Args:
        recipe: Recipe of any method.
        clips: Number of labelled training clips.
    """
    idle, ssl = idle_settings(recipe), in_steps(recipe, clips).ssl
    started = max(0, recipe.epochs - ssl.pretrain_epochs)
    found = []
    if not {"ssl.ema.alpha", "ssl.ema.memory_epochs"} <= idle.keys() and not ssl.ema.warmup:
        per_epoch = steps_of(recipe, clips)
        epochs = started if recipe.has_teacher else recipe.epochs
        found.append(
            Average(setting="ssl.ema.alpha", keep=ssl.ema.alpha, per_epoch=per_epoch, updates=epochs * per_epoch)
        )
    unknown = is_own(ssl.threshold.policy) and ssl.threshold.alignment == "none"  # such a policy may have no average
    momentum_acts = not {"ssl.threshold.momentum", "ssl.threshold.memory_epochs"} <= idle.keys()
    if momentum_acts and not unknown and ssl.pseudo.mode != "off":
        rate = policy_updates(recipe, clips)
        learning = sum(weight_key(ssl.ramp, since) != ("zero",) for since in range(started))
        epochs = started if ssl.pseudo.mode == "rounds" else learning
        keep = ssl.threshold.momentum
        found.append(Average(setting="ssl.threshold.momentum", keep=keep, per_epoch=rate, updates=epochs * rate))
    return tuple(found)


def steps_sentences(arms: tuple[ArmSteps, ...]) -> tuple[str, ...]:
    """Steps and averages as text, one sentence per distinct training length, with the arms to which it applies."""
    words: dict[str, list[str]] = {}
    for each in arms:
        steps = f"{counted(each.per_epoch, 'step')} × {counted(each.epochs, 'epoch')}"
        parts = [f"{steps} over {counted(each.clips, 'labelled clip')}"]
        parts += [
            f"{a.setting} {a.keep:.4g} has a memory of {counted(_short(a.memory), 'update')} "
            f"({counted(_short(a.memory / a.per_epoch), 'epoch')})"
            for a in each.averages
        ]
        words.setdefault("; ".join(parts), []).append(each.arm)
    if len(words) == 1:
        return tuple(words)
    return tuple(f"{text} ({', '.join(dict.fromkeys(names))})" for text, names in words.items())


def memory_notes(arms: tuple[ArmSteps, ...]) -> tuple[str, ...]:
    """A warning for each average whose memory exceeds its number of updates."""
    found: dict[str, list[str]] = {}
    for each in arms:
        for average in each.averages:
            if average.too_long:
                text = (
                    f"{average.setting} {average.keep:.4g} has a memory of {counted(_short(average.memory), 'update')} "
                    f"and is updated {counted(_short(average.updates), 'time')}: it stays near its initial "
                    f"value. Set {average.setting.rpartition('.')[0]}.memory_epochs instead, for example to 3."
                )
                found.setdefault(text, []).append(f"`{each.arm}`")
    return tuple(f"{', '.join(dict.fromkeys(names))}: {text}" for text, names in found.items())


def _short(value: float) -> str:
    """A number with three significant digits, or as an integer from 100 upwards: ``2.5``, ``1,000``."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"
