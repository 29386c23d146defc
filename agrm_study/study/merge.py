"""Merging of settings into a validated recipe."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.frozen_layers import LayerNames, frozen_layer_errors
from agrm_study.study.parts.source import OwnPart
from agrm_study.study.parts.use import check_options, with_full_names
from agrm_study.study.problems import Names, Places, Problems
from agrm_study.study.recipe import Model, Recipe
from agrm_study.study.settings import MEMORIES, Setting, known_settings, value_of
from agrm_study.study.tasks import Task
from agrm_study.study.translate import validated

Tree = dict[str, Any]
"""Settings of a recipe as nested plain values, as in its JSON form."""

ORDINAL_LOSS = "corn"
"""Name of the loss that requires ordered classes."""


def with_settings(tree: Tree, settings: Iterable[Setting]) -> Tree:
    """Like `with_values`, for settings with distinct names."""
    return with_values(tree, {setting.name: setting.value for setting in settings})


def with_values(tree: Tree, values: Mapping[str, Any]) -> Tree:
    """A copy of merged settings with some of them replaced, by dotted name; lists are replaced entirely.

    A moving average specified per step also replaces an earlier memory in epochs (`MEMORIES`), and vice versa.
    """
    result = copy.deepcopy(tree)
    for name, value in values.items():
        *sections, leaf = name.split(".")
        group = result
        for section in sections:
            inner = group.get(section)
            group[section] = group = inner if isinstance(inner, dict) else {}
        group[leaf] = copy.deepcopy(value)
        if name in MEMORIES.values() and group.get("memory_epochs") is not None:
            group["memory_epochs"] = None
    return result


def check_memories(settings: Sequence[Setting], problems: Problems, *, prefix: str = "") -> None:
    """Report a moving average for which one source specifies both a value per step and a memory in epochs."""
    given = {setting.name: setting for setting in settings}
    for memory, per_step in MEMORIES.items():
        if per_step in given and memory in given and given[memory].value is not None:
            problems.add(
                given[memory].place,
                f"{per_step} is given as well, in line {given[per_step].place.line}"
                if given[per_step].place.line
                else f"{per_step} is given as well",
                field=f"{prefix}{memory}",
                given=given[memory].value,
                hint="Keep one of the two: they set the same average, per step and in epochs.",
            )


def build_recipe(
    tree: Tree,
    places: Places,
    problems: Problems,
    names: Names,
    *,
    prefix: str = "",
    parts: Sequence[OwnPart] = (),
    tasks: Iterable[Task] = (),
    layers: LayerNames | None = None,
) -> Recipe | None:
    """The validated recipe, or None after reporting errors.

    Args:
        tree: Merged settings.
        places: Location of each setting.
        problems: Receives the errors.
        names: Valid names by dotted field; fields without an entry are not checked.
        prefix: Prefix of the field for messages (``arm `w/o MTM` ``).
        parts: User-defined parts of the study; the recipe contains their full names.
        tasks: Tasks of the study; the recipe must be compatible with all of them.
        layers: Layer names of a backbone, for checking `model.freeze`; None disables this check.
    """
    try:
        recipe = validated(Recipe, tree, places, prefix=prefix)
    except InputError as fault:
        problems.extend(fault.singles)
        return None
    before = len(problems)
    for field, known in names.items():
        check_name(
            field, value_of(recipe, field) if _is_setting(field) else None, known, places, problems, prefix=prefix
        )
    check_options(recipe, parts, places, problems, prefix=prefix)
    _check_together(recipe, places, problems, prefix)
    _check_tasks(recipe, tasks, places, problems, prefix)
    if len(problems) == before:
        recipe = with_full_names(recipe, parts)
        _check_layers(recipe.model, layers, places, problems, prefix)
    return recipe if len(problems) == before else None


def check_name(
    field: str, given: object, known: Iterable[str], places: Places, problems: Problems, *, prefix: str = ""
) -> None:
    """Report a name that does not exist; None is ignored."""
    options = sorted(known)
    if given is None or given in options:
        return
    problems.add(
        places.find(tuple(field.split("."))),
        "is not one of the known names",
        field=f"{prefix}{field}",
        given=given,
        allowed=", ".join(options),
        hint=did_you_mean(str(given), options),
    )


def _check_layers(model: Model, layers: LayerNames | None, places: Places, problems: Problems, prefix: str) -> None:
    """Report frozen layers that the backbone does not have."""
    place = places.find(("model", "freeze"))
    for each in frozen_layer_errors(model, layers) if layers is not None else ():
        problems.add(
            place, each.rule, field=f"{prefix}{each.field}", given=each.given, allowed=each.allowed, hint=each.hint
        )


def _is_setting(field: str) -> bool:
    return field.split(".", 1)[0] in Recipe.model_fields


def _check_together(recipe: Recipe, places: Places, problems: Problems, prefix: str) -> None:
    """Check rules that involve several settings."""

    def note(rule: str, *names: str, **more: Any) -> None:
        place = places.latest(tuple(name.split(".")) for name in names)
        problems.add(place, rule, field=f"{prefix}{names[0]}", **more)

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
        rule = f"must mask at least one of the {patches} patches of the grid and not all of them"
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
        rule = "requires model.dropout above 0: without dropout, all passes are equal"
        note(rule, "ssl.pseudo.uncertainty", "model.dropout", given="dropout")


def _check_tasks(recipe: Recipe, tasks: Iterable[Task], places: Places, problems: Problems, prefix: str) -> None:
    """Report an ordinal loss for tasks whose classes have no order."""
    if recipe.loss.name == ORDINAL_LOSS and (without := [task.name for task in tasks if task.order is None]):
        problems.add(
            places.find(("loss", "name")),
            f"requires ordered classes, but the task {' and '.join(without)} has none",
            field=f"{prefix}loss.name",
            given=recipe.loss.name,
            hint="If the classes of the task are listed in ascending order, set `ordered: true` in the task.",
        )


def _inside(section: str) -> tuple[str, ...]:
    """Dotted names of a section and of all its settings."""
    return (section, *(name for name in known_settings() if name.startswith(f"{section}.")))
