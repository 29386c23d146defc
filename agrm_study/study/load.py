"""What does a study file ask for, with preset and options laid over it, and what is wrong with it?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from agrm_study.study.build_arms import build_arms
from agrm_study.study.checks import check_study
from agrm_study.study.document import read_yaml
from agrm_study.study.errors import InputError
from agrm_study.study.layers import base_layer, preset_layer, recipe_layer
from agrm_study.study.library import find_study
from agrm_study.study.merge import build_recipe, merge_layers
from agrm_study.study.overrides import apply_overrides, parse_override
from agrm_study.study.problems import Names, Place, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.study.seeds import Race
from agrm_study.study.spec import StudyFile, reference_of
from agrm_study.study.study import Study, Varies

if TYPE_CHECKING:
    from pydantic import ValidationError

WAYS: tuple[Varies, ...] = ("arms", "grid", "search")


def load_study(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    preset: str | None = None,
    names: Names = MappingProxyType({}),
) -> Study:
    """Load a study file: base recipe, then the study's own settings, the preset's, the options', each arm's.

    Args:
        path: A study file, or the name of a shipped study.
        overrides: ``KEY=VALUE`` texts: a recipe's setting for every arm, or one of the study's keys (``seeds=[0, 1]``).
        preset: Name of a preset in search_spaces/presets/, or a file.
        names: Names that exist, by dotted field (``model.backbone``, ``report.tables``, …). This layer knows neither
            networks nor tables, so the caller says; fields without an entry are not checked.

    Raises:
        InputError: One message with all that is wrong: file, line, field, rule, value and what is allowed.
    """
    file = find_study(path)
    document = read_yaml(file)
    if document.value is None:
        raise InputError("the study is empty", where=file, hint="It needs at least name, tasks, seeds and arms.")
    if not isinstance(document.value, dict):
        raise InputError("a study is a group of keys, `name: …`, `tasks: …`", where=file, line=document.line(()))
    problems = Problems()
    places = Places.of(document)
    places.default = Place(file)
    value: dict[str, Any] = dict(document.value)
    own = recipe_layer(value, places, problems)
    laid_over = preset_layer(preset, file, value, places, problems)
    given = apply_overrides([parse_override(text) for text in overrides], value, places, problems)
    spec = _study_file(value, places, problems)
    base_name = value.get("base", "agrm")
    protocol = base_layer(base_name, file, places, problems) if isinstance(base_name, str) else []
    tree, origins = merge_layers([protocol, own, laid_over, given], Place(file))
    if spec is not None:
        tree |= {"task": spec.tasks[0], "seed": 0, "split_seed": spec.split_seed}
    base = build_recipe(tree, origins, problems, names)
    if spec is None or base is None:
        if spec is not None:
            build_arms(spec, tree, origins, places, problems, names, given, check=False)
        problems.raise_any()
        raise AssertionError("a study without a recipe has a problem")
    arms, varies, factors = build_arms(spec, tree, origins, places, problems, names, given, check=True)
    check_study(spec, base, arms, places, origins, problems, names)
    problems.raise_any()
    return Study(
        name=spec.name,
        question=" ".join(spec.question.split()),
        tasks=spec.tasks,
        seeds=spec.seeds.seeds if isinstance(spec.seeds, Race) else spec.seeds,
        race=spec.seeds if isinstance(spec.seeds, Race) else None,
        split_seed=spec.split_seed,
        arms=tuple(arms),
        varies=varies,
        factors=factors,
        search=spec.search,
        reference=reference_of(spec),
        primary_metric=spec.primary_metric,
        resources=spec.resources,
        report=spec.report,
        base=base,
        base_name=spec.base,
        sharing=spec.sharing,
        preset=preset,
        overrides=tuple(overrides),
        path=file,
        places=MappingProxyType({".".join(map(str, path)): at for path, at in origins.by_path.items()}),
    )


def _study_file(value: dict[str, Any], places: Places, problems: Problems) -> StudyFile | None:
    from pydantic import ValidationError

    from agrm_study.study.translate import translate

    given = [way for way in WAYS if value.get(way) is not None]
    if len(given) != 1:
        problems.add(
            places.find((given[1],)) if given else places.default,
            "a study says what varies in exactly one way" if given else "the study is empty: nothing says what varies",
            field=" and ".join(given) or None,
            allowed=", ".join(WAYS),
        )
    for way in given:
        if value[way] in ([], {}):
            what = {"arms": "arm", "grid": "factor", "search": "dimension"}[way]
            problems.add(places.find((way,)), f"the study is empty: it needs at least one {what}", field=way)
    if isinstance(arms := value.get("arms"), dict) and arms:
        name = next(iter(arms))
        problems.add(
            places.find(("arms",)),
            "must be a list of arms, each a group with its name and what it sets",
            field="arms",
            allowed="- {name: TEXT, set: {SETTING: VALUE}}",
            hint=f"Write `- {{name: {name}, set: {{…}}}}`.",
        )
        value, given = {**value, "arms": None}, []
    try:
        spec = StudyFile.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as fault:
        problems.extend(_with_recipe_hints(fault, translate(fault, places, model=StudyFile)))
        return None
    return spec if len(given) == 1 and value[given[0]] not in ([], {}) else None


def _with_recipe_hints(fault: ValidationError, translated: list[InputError]) -> list[InputError]:
    """A recipe's section at the top level of a study is a likely slip: say where it belongs."""
    result = []
    for problem in translated:
        head = (problem.field or "").split(".")[0]
        if problem.rule == "there is no such key" and problem.field == head and head in Recipe.model_fields:
            problem = InputError(
                "is a setting of the recipe, not a key of the study",
                where=problem.where,
                line=problem.line,
                field=head,
                hint=f"Write it under `set:`, e.g. `set: {{{head}: …}}`.",
            )
        result.append(problem)
    return result
