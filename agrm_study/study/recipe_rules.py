"""Rules that involve several settings of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import known_settings
from agrm_study.study.tasks import Task

ORDINAL_LOSS: Final = "corn"
"""Name of the loss that requires ordered classes."""


def check_rules(recipe: Recipe, tasks: Iterable[Task], note: Callable[..., None]) -> None:
    """Check the rules that involve several settings.

    Args:
        recipe: The recipe.
        tasks: Tasks of the study.
        note: Callback that receives each violated rule, the names of the settings involved (the violating one first),
            and further fields of the message.
    """
    data, ssl = recipe.data, recipe.ssl
    if data.manifest is not None and data.synthetic is not None:
        note("both a manifest and a synthetic data set are specified", "data.manifest", *_inside("data.synthetic"),
             hint="Set the unintended one to null.")  # fmt: skip
    elif data.manifest is None and data.synthetic is None and not recipe.own_trainer:
        note("no data are specified", "data", "data.manifest", allowed="data.manifest or data.synthetic",
             hint="Specify the manifest written by `agrm-study data index`: --set data.manifest=FILE.")  # fmt: skip
    if recipe.uses_unlabelled:
        needs = f"must be at least 1: the method {ssl.method} learns from unlabelled clips"
        joined = data.remainder == "unlabelled" and data.labelled_fraction < 1
        if data.unlabelled_train == 0 and not joined:
            note(needs, "data.unlabelled_train", "ssl.method", given=0, hint="Or set ssl.method to supervised.")
        if data.synthetic is not None and data.synthetic.unlabelled == 0 and not joined:
            note(needs, "data.synthetic.unlabelled", "ssl.method", given=0, hint="Or set ssl.method to supervised.")
        if ssl.pretrain_epochs >= recipe.epochs:
            rule = f"must be less than epochs ({recipe.epochs}), or the unlabelled clips are never used"
            note(rule, "ssl.pretrain_epochs", "epochs", "ssl.method", given=ssl.pretrain_epochs)
        _check_unlabelled_passes(recipe, note)
    _check_strong_view(recipe, note)
    if recipe.batch.accumulate > recipe.batch.labelled:
        rule = f"must be at most batch.labelled ({recipe.batch.labelled})"
        note(rule, "batch.accumulate", "batch.labelled", given=recipe.batch.accumulate)
    if recipe.loss.name == ORDINAL_LOSS and (without := [task.name for task in tasks if task.order is None]):
        rule = f"requires ordered classes, but the classes of the task {' and '.join(without)} are not ordered"
        hint = "If the classes of the task are listed in ascending order, set `ordered: true` in the task."
        note(rule, "loss.name", given=recipe.loss.name, hint=hint)


def _check_strong_view(recipe: Recipe, note: Callable[..., None]) -> None:
    """Check the rectangle and the tubes of the strong view."""
    strong = recipe.augment.strong
    low, high = strong.erase_area
    if low > high:
        note("must be [smallest, largest]", "augment.strong.erase_area", given=[low, high])
    if strong.tubes and strong.tube_grid > recipe.clip.size:
        rule = f"must be at most clip.size ({recipe.clip.size}): a patch is at least one pixel wide"
        note(rule, "augment.strong.tube_grid", "clip.size", given=strong.tube_grid)
    patches = strong.tube_grid**2
    if strong.tubes and not 0 < round(strong.tubes * patches) < patches:
        rule = f"must mask at least one of the {patches} patches of the grid, but not all of them"
        note(rule, "augment.strong.tubes", "augment.strong.tube_grid", given=strong.tubes)


def _check_unlabelled_passes(recipe: Recipe, note: Callable[..., None]) -> None:
    """Check batch norm, thresholds and uncertainty in methods that use unlabelled clips."""
    ssl, in_rounds = recipe.ssl, recipe.ssl.pseudo.mode == "rounds"
    if ssl.batch_norm == "joint" and recipe.batch.accumulate > 1:
        rule = "must be 1 with ssl.batch_norm joint: one pass covers all clips of a step"
        note(rule, "batch.accumulate", "ssl.batch_norm", given=recipe.batch.accumulate)
    if ssl.batch_norm in ("labelled_only", "per_domain") and recipe.has_teacher and ssl.ema.buffers == "own":
        rule = f"must not be own with ssl.batch_norm {ssl.batch_norm}: the teacher's own passes use unlabelled clips"
        note(rule, "ssl.ema.buffers", "ssl.batch_norm", given="own", allowed="average, copy")
    if ssl.views == 2 and ssl.method == "pseudo_label":
        rule = "must be 1 with the method pseudo_label: it labels the view that it learns from"
        note(rule, "ssl.views", "ssl.method", given=2)
    if ssl.method == "mean_teacher" or ssl.pseudo.mode == "off":
        return
    if in_rounds and ssl.threshold.policy == "relative":
        rule = "requires the labelled clips of each step, so ssl.pseudo.mode must be online"
        note(rule, "ssl.threshold.policy", "ssl.pseudo.mode", given="relative")
    if in_rounds and ssl.threshold.alignment == "predictions":
        rule = "requires the labelled clips of each step, so ssl.pseudo.mode must be online"
        note(rule, "ssl.threshold.alignment", "ssl.pseudo.mode", given="predictions")
    if ssl.pseudo.uncertainty == "none":
        return
    if in_rounds:
        note(
            "requires ssl.pseudo.mode online", "ssl.pseudo.uncertainty", "ssl.pseudo.mode", given=ssl.pseudo.uncertainty
        )
    elif ssl.pseudo.uncertainty == "views" and ssl.method == "pseudo_label":
        rule = "requires two views of an unlabelled clip, but the method pseudo_label uses one"
        note(rule, "ssl.pseudo.uncertainty", "ssl.method", given="views", allowed="the methods agrm and fixmatch")
    elif ssl.pseudo.uncertainty == "dropout" and not recipe.has_teacher:
        rule = f"requires a teacher, but the method {ssl.method} has none"
        note(rule, "ssl.pseudo.uncertainty", "ssl.method", given="dropout", allowed="views, or the method agrm")
    elif ssl.pseudo.uncertainty == "dropout" and recipe.model.dropout == 0:
        rule = "requires model.dropout above 0: without dropout, all passes are identical"
        note(rule, "ssl.pseudo.uncertainty", "model.dropout", given="dropout")


def _inside(section: str) -> tuple[str, ...]:
    """Dotted names of a section and of all its settings."""
    return (section, *(name for name in known_settings() if name.startswith(f"{section}.")))
