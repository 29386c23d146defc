"""Loading of a study file, with overrides from a preset and from options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any

from agrm_study.study.arms import build, build_arms, draft_arms, try_dimensions
from agrm_study.study.checks import check_study
from agrm_study.study.document import Document, read_yaml
from agrm_study.study.errors import InputError
from agrm_study.study.fold_checks import check_splits
from agrm_study.study.following import follow_epochs
from agrm_study.study.frozen_layers import LayerNames
from agrm_study.study.library import find_study
from agrm_study.study.loading import GIVEN, Loading
from agrm_study.study.own_trainer import (
    first_layer,
    last_layer,
    name_settings,
    named_option,
    own_trainer,
    shares_epochs,
)
from agrm_study.study.parts.names import full_name
from agrm_study.study.parts.source import OwnParts
from agrm_study.study.problems import Names
from agrm_study.study.recipe import Recipe
from agrm_study.study.seeds import Race
from agrm_study.study.sources import base_layer, option_layer, preset_layer, recipe_layer
from agrm_study.study.spec import ReportRequest, StudyFile, reference_of
from agrm_study.study.study import Study
from agrm_study.study.task_entries import tasks_of
from agrm_study.study.tasks import task_to_plain
from agrm_study.study.translate import validated
from agrm_study.study.tuning_checks import check_tuning

PARTS = {"arms": "arm", "grid": "factor", "search": "dimension"}
"""The keys that define the varied settings, each with the singular noun for its entries."""


def load_study(
    path: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    preset: str | None = None,
    names: Names = MappingProxyType({}),
    own: OwnParts = OwnParts(),  # noqa: B008 - frozen
    layer_names: LayerNames | None = None,
) -> Study:
    """Load a study: merge the base recipe and the settings of the study, the preset, the options and each arm.

    Args:
        path: A study file, the name of a shipped study, or the content of a study file as plain values; relative paths
            in such values are resolved against the working directory.
        overrides: ``KEY=VALUE`` strings: a recipe setting for all arms, or a key of the study (``seeds=[0, 1]``).
        preset: Name of a preset in search_spaces/presets/, or a file.
        names: Valid names by dotted field (``model.backbone``, ``report.tables``, …), provided by the caller because
            this layer does not import networks or tables; fields without an entry are not checked.
        own: User-defined parts of the study (`plan.own_parts`), whose names are included in ``names``.
        layer_names: Layer names of a backbone, also provided by the caller, for checking `model.freeze`.

    Raises:
        InputError: If the study is invalid; one message lists every error with file, line, field, rule and value.
    """
    loading = _open_values(path, names) if isinstance(path, Mapping) else _open(find_study(path), names)
    loading.parts, loading.layers = own.parts, layer_names
    trainer = own_trainer(loading)
    if trainer is None and isinstance(loading.value.get("trainer"), str):
        loading.problems.raise_any()  # without it, all its settings would be reported as unknown
    if trainer is not None:
        name_settings(loading, trainer)
        overrides = [named_option(text, trainer) for text in overrides]
    given = recipe_layer(loading.value, loading.places, loading.problems)
    laid_over = preset_layer(preset, loading)
    loading.options = option_layer(overrides, loading)
    spec = _read_spec(loading)
    layers = [base_layer(loading), given, laid_over, loading.options]
    if trainer is not None:
        layers = [layers[0], first_layer(trainer, loading), *layers[1:], last_layer(trainer, loading)]
    following, followed = follow_epochs(layers)
    for layer in (*layers, following):
        loading.lay(layer)
    tasks = {} if spec is None else tasks_of(spec.tasks)
    loading.tasks = tuple(tasks.values())
    if spec is not None:
        loading.tree |= {"task": task_to_plain(loading.tasks[0]), "seed": 0, "split_seed": spec.split_seed}
    base = build(loading.tree, loading.origins, loading)
    drafts, varies, factors = ([], "arms", ()) if spec is None else draft_arms(spec, loading)
    if spec is None or base is None:
        loading.problems.raise_any()
        raise AssertionError("a study without a recipe has a problem")
    if spec.search is not None:
        try_dimensions(spec.search.space, factors, loading)
    arms = build_arms(drafts, loading)
    check_tuning(spec, arms, loading)
    check_study(spec, base, arms, loading)
    check_splits(spec, base, arms, loading)
    if trainer is None and any(recipe.own_trainer for recipe in (base, *(arm.recipe for arm in arms))):
        hint = "Specify it with `trainer: FILE.py:CLASS`; it trains all arms of the study."
        loading.problems.add(
            loading.origins.find(("training",)), "is not a setting of an arm", field="training.trainer", hint=hint
        )
    loading.problems.raise_any()
    return Study(
        name=spec.name,
        question=" ".join(spec.question.split()),
        tasks=tasks,
        task_places={path: at for path, at in loading.places.by_path.items() if path[:1] == ("tasks",)},
        seeds=spec.seeds.seeds if isinstance(spec.seeds, Race) else spec.seeds,
        race=spec.seeds if isinstance(spec.seeds, Race) else None,
        split_seed=spec.split_seed,
        splits=spec.splits,
        arms=tuple(arms),
        varies=varies,
        factors=factors,
        search=spec.search,
        tune=spec.tune,
        reference=reference_of(spec),
        primary_metric=spec.primary_metric,
        resources=spec.resources,
        report=_with_own_names(spec.report, own),
        base=base,
        base_name=spec.base,
        keep_weights=spec.keep_weights,
        sharing=spec.sharing if shares_epochs(trainer) else False,
        preset=preset,
        overrides=tuple(overrides),
        path=loading.file,
        followed=followed,
        impossible=tuple(dict.fromkeys(loading.notes)),
        parts=own.parts,
        sources=own.sources,
    )


def _with_own_names(report: ReportRequest, own: OwnParts) -> ReportRequest:
    """The report request, with the full names of user-defined tables and figures."""
    full = {(part.kind, part.name): full_name(part.name, part.source) for part in own.parts}
    return report.model_copy(
        update={
            "tables": tuple(full.get(("table", name), name) for name in report.tables),
            "figures": tuple(full.get(("figure", name), name) for name in report.figures),
        }
    )


def _open(file: Path, names: Names) -> Loading:
    document = read_yaml(file)
    if document.value is None:
        raise InputError("the study is empty", where=file, hint="It requires at least name, tasks, seeds and arms.")
    if not isinstance(document.value, dict):
        raise InputError("a study is a group of keys, `name: …`, `tasks: …`", where=file, line=document.line(()))
    return Loading.of(document, names)


def _open_values(value: Mapping[str, Any], names: Names) -> Loading:
    try:
        plain = json.loads(json.dumps(dict(value), allow_nan=False, default=_plain))
    except (TypeError, ValueError) as fault:
        raise InputError(
            f"must contain only plain values ({fault})",
            where=GIVEN,
            allowed="dicts with text keys, lists, text, numbers, True, False, None and paths",
        ) from None
    return Loading.of(Document(plain, None, {}), names)


def _plain(value: Any) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not a plain value")


def _read_spec(loading: Loading) -> StudyFile | None:
    """The validated keys of the study; None after reporting errors."""
    value, problems = loading.value, loading.problems
    given = [way for way in PARTS if value.get(way) is not None]
    before = len(problems)
    if len(given) != 1:
        problems.add(
            loading.places.find((given[1],)) if given else loading.places.default,
            "a study must define exactly one of arms, grid and search"
            if given
            else "the study is empty: it does not define arms, grid or search",
            field=" and ".join(given) or None,
            allowed=", ".join(PARTS),
        )
    for way in given:
        if value[way] in ([], {}):
            loading.note((way,), f"the study is empty: it requires at least one {PARTS[way]}")
    if isinstance(arms := value.get("arms"), dict) and arms:
        loading.note(
            ("arms",),
            "must be a list of arms, each a group with a name and settings",
            allowed="- {name: TEXT, set: {SETTING: VALUE}}",
            hint=f"Write `- {{name: {next(iter(arms))}, set: {{…}}}}`.",
        )
        value = value | {"arms": None}
    try:
        spec = validated(StudyFile, value, loading.places)
    except InputError as fault:
        problems.extend(map(_with_recipe_hint, fault.singles))
        return None
    return spec if len(problems) == before else None


def _with_recipe_hint(problem: InputError) -> InputError:
    """The error, with a hint if a section of the recipe was written at the top level of the study, a common mistake."""
    if problem.rule != "there is no such key" or problem.field not in Recipe.model_fields:
        return problem
    return InputError(
        "is a setting of the recipe, not a key of the study",
        where=problem.where,
        line=problem.line,
        field=problem.field,
        hint=f"Write it under `set:`, e.g. `set: {{{problem.field}: …}}`.",
    )
