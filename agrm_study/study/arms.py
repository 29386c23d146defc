"""The arms of a study: listed arms, combinations of a grid, or only the base recipe for a search."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from agrm_study.study.arm_names import arm_name, symbols
from agrm_study.study.document import KeyPath
from agrm_study.study.drawn_layers import layer_dimensions, try_layers
from agrm_study.study.errors import did_you_mean
from agrm_study.study.loading import Loading
from agrm_study.study.merge import Tree, build_recipe, check_memories, with_values
from agrm_study.study.problems import Place, Places, Problems
from agrm_study.study.recipe import Recipe
from agrm_study.study.search_space import Dimension
from agrm_study.study.settings import Setting, read_settings, refusal, resolve_path
from agrm_study.study.spec import BASE_ARM, MAX_NAME, Factor, StudyFile, read_name, reference_of
from agrm_study.study.study import Arm, Varies
from agrm_study.study.translate import Rule

MAX_ARMS = 10_000
"""Maximum number of arms of a grid; a larger space requires a search."""


@dataclass(frozen=True, slots=True)
class ArmDraft:
    """An arm before its recipe is built: its name, settings and location in the file."""

    name: str
    settings: tuple[Setting, ...]
    place: Place
    accelerator: str | None = None
    seed_offset: int = 0
    space: Mapping[str, Dimension] | None = None


def draft_arms(spec: StudyFile, loading: Loading) -> tuple[list[ArmDraft], Varies, tuple[str, ...]]:
    """The arms, the key that defines them, and the dotted names of the varied settings."""
    if spec.search is not None:
        factors = tuple(check_factors(("search", "space"), spec.search.space, loading))
        place = loading.places.find(("reference",))
        drafts = [ArmDraft(BASE_ARM, (), place)] if reference_of(spec) == BASE_ARM else []
        varies: Varies = "search"
    elif spec.grid is not None:
        drafts, varies, factors = _grid_arms(spec.grid, loading), "grid", tuple(spec.grid)
    else:
        drafts, varies = _listed_arms(spec, loading), "arms"
        factors = tuple(dict.fromkeys(setting.name for draft in drafts for setting in draft.settings))
    _check_names(drafts, loading)
    _check_accelerators(drafts, spec.resources.accelerator, loading)
    _check_options_act(drafts, factors, varies, loading)
    return drafts, varies, factors


def build_arms(drafts: Sequence[ArmDraft], loading: Loading) -> list[Arm]:
    """The arms with their recipes; an arm with an invalid recipe is reported and omitted."""
    arms = []
    for draft in drafts:
        settings = [resolve_path(setting, loading.folder) for setting in draft.settings]
        # Errors in an arm's settings are reported at the lines of these settings, all other errors at its name.
        places, prefix = loading.origins, ""
        if settings:
            own: dict[KeyPath, Place] = {tuple(setting.name.split(".")): setting.place for setting in settings}
            places, prefix = Places(draft.place, own), f"arm {draft.name}: "
        check_memories(settings, loading.problems, prefix=prefix)
        values = {setting.name: setting.value for setting in settings}
        recipe = build(with_values(loading.tree, values), places, loading, prefix=prefix)
        if recipe is not None:
            arms.append(
                Arm(
                    name=draft.name,
                    settings=MappingProxyType(values),
                    recipe=recipe,
                    accelerator=draft.accelerator,
                    seed_offset=draft.seed_offset,
                    space=draft.space,
                )
            )
    return arms


def try_dimensions(
    space: Mapping[str, Dimension],
    names: Sequence[str],
    loading: Loading,
    *,
    at: KeyPath = ("search", "space"),
    tree: Tree | None = None,
    prefix: str = "search.space: ",
) -> None:
    """Report dimensions of a search for which an end of the range, or a choice, results in an invalid recipe.

    Each value is combined with the base recipe and with the dimensions that have a single value.

    Args:
        space: The dimensions.
        names: Names of the dimensions to check.
        loading: Receives the errors.
        at: Path of the space in the study file.
        tree: Settings that the sampled values override; by default, the settings of the base recipe.
        prefix: Prefix of the field for messages.
    """
    places = {name: loading.places.find((*at, name)) for name in names}
    drawn = [Setting(name, space[name].probes[0], places[name]) for name in names]
    check_memories(drawn, loading.problems, prefix=prefix)
    merged = loading.tree if tree is None else tree
    together = layer_dimensions(names)
    before = len(loading.problems)
    single = [name for name in names if len(space[name].probes) == 1 and not space[name].when.required]
    for name in names:
        always = {other: space[other].probes[0] for other in single if other != name}
        for probe in space[name].probes:
            laid = with_values(merged, always | {name: probe})
            build(laid, Places(places[name]), loading, prefix=prefix, check_layers=name not in together)

    def recipe_of(values: Mapping[str, Any]) -> Recipe | None:
        return build_recipe(
            with_values(merged, values), loading.origins, Problems(), loading.names, parts=loading.parts
        )

    if together and len(loading.problems) == before:
        try_layers(space, together, recipe_of, loading, at=at, prefix=prefix)


def build(
    tree: Tree, places: Places, loading: Loading, *, prefix: str = "", check_layers: bool = True
) -> Recipe | None:
    """The validated recipe of merged settings, or None after reporting errors."""
    return build_recipe(
        tree,
        places,
        loading.problems,
        loading.names,
        prefix=prefix,
        parts=loading.parts,
        tasks=loading.tasks,
        layers=loading.layers if check_layers else None,
    )


def _listed_arms(spec: StudyFile, loading: Loading) -> list[ArmDraft]:
    """The arms of an `arms` list."""
    drafts = []
    for position, entry in enumerate(spec.arms or ()):
        path = ("arms", position)
        settings = read_settings(entry.set, loading.places, loading.problems, at=(*path, "set"))
        place = loading.places.find((*path, "name"))
        space = None if entry.tune is None else entry.tune.space
        drafts.append(
            ArmDraft(entry.name, tuple(settings), place, entry.resources.accelerator, entry.seed_offset, space)
        )
    return drafts


def _grid_arms(factors: Mapping[str, Factor], loading: Loading) -> list[ArmDraft]:
    """The arms of a `grid`, one per combination; the first factor varies slowest, and equal combinations are merged."""
    usable = check_factors(("grid",), factors, loading)
    if len(usable) < len(factors):
        return []
    if (size := math.prod(len(factors[name].values) for name in usable)) > MAX_ARMS:
        hint = "Vary fewer values, or let `search` sample them."
        loading.note(("grid",), f"results in {size} arms, more than {MAX_ARMS}", hint=hint)
        return []
    symbol_of = symbols(usable)
    symbol_of.update({name: symbol for name in usable if (symbol := factors[name].symbol) is not None})
    places = {name: loading.places.find(("grid", name)) for name in usable}
    whole = loading.places.find(("grid",))
    drafts: dict[str, ArmDraft] = {}
    for assigned in _combinations(usable, factors):
        name = arm_name(assigned, symbol_of)
        try:
            read_name(name)
        except Rule as broken:
            loading.note(
                ("grid",),
                f"results in an arm whose name {broken.rule}",
                given=name,
                hint=f"Give long values short labels, `values: {{label: value}}`: at most {MAX_NAME} characters.",
            )
            return []
        settings = tuple(Setting(factor, value, places[factor]) for factor, (_, value) in assigned.items())
        key = repr([(setting.name, setting.value) for setting in settings])
        drafts.setdefault(key, ArmDraft(name, settings, whole))
    return list(drafts.values())


def check_factors(group: KeyPath, factors: Mapping[str, Factor | Dimension], loading: Loading) -> list[str]:
    """The names of factors (or dimensions) that exist and whose conditions can be met, in the given order.

    Reports names that do not exist, and conditions that do not refer to earlier factors or can never be met.
    """
    usable: list[str] = []
    holding: dict[str, dict[str, list[Any]]] = {}
    for name, factor in factors.items():
        path, when = (*group, name), (*group, name, "when")
        if (broken := refusal(name)) is not None:
            loading.note(path, broken[0], hint=broken[1])
            continue
        missing = [other for other in factor.when.required if other not in usable]
        for other in missing:
            rule, allowed = "must refer to a setting that is varied above it", ", ".join(usable)
            loading.note(when, rule, at=(*when, other), given=other, allowed=allowed or "none: this is the first entry")
        if missing:
            continue
        holding[name] = _holding(name, factors, holding)
        never = next((other for other, values in holding[name].items() if not values), None)
        if never is None:
            usable.append(name)
            continue
        wanted, allowed = factor.when.required.get(never, ()), factors[never].values_text
        if any(map(factors[never].can_be, wanted)) or not wanted:
            loading.note(
                when,
                f"can never be met: {never} has different values whenever the other settings in the condition are "
                "varied",
            )
        else:
            loading.note(
                when,
                f"can never be met: {never} has no such value",
                at=(*when, never),
                given=wanted[0] if len(wanted) == 1 else list(wanted),
                allowed=allowed,
                hint=did_you_mean(str(wanted[0]), allowed.split(", ")),
            )
    return usable


def _holding(
    name: str, factors: Mapping[str, Factor | Dimension], holding: Mapping[str, dict[str, list[Any]]]
) -> dict[str, list[Any]]:
    """The values that each direct or indirect prerequisite of a factor must have for the factor to be varied.

    Args:
        name: The factor.
        factors: All factors.
        holding: Results for the earlier factors.
    """
    required = factors[name].when.required
    found: dict[str, list[Any]] = {}
    all_demands: list[Mapping[str, Sequence[Any]]] = [*(holding[other] for other in required), required]
    for demands in all_demands:
        for other, values in demands.items():
            before = found.get(other)
            found[other] = [v for v in values if factors[other].can_be(v) and (before is None or v in before)]
    return found


def _combinations(
    names: Sequence[str], factors: Mapping[str, Factor], assigned: Mapping[str, tuple[str | None, Any]] | None = None
) -> Iterator[dict[str, tuple[str | None, Any]]]:
    assigned = assigned or {}
    if not names:
        yield dict(assigned)
        return
    first, *rest = names
    factor = factors[first]
    if not factor.when.holds({name: value for name, (_, value) in assigned.items()}):
        yield from _combinations(rest, factors, assigned)
        return
    for label, value in factor.values:
        yield from _combinations(rest, factors, {**assigned, first: (label, value)})


def _check_names(drafts: Sequence[ArmDraft], loading: Loading) -> None:
    """Report names that two arms share, including names that differ only in case, spaces or Unicode form (NFC, NFD)."""
    first: dict[str, ArmDraft] = {}
    for draft in drafts:
        key = " ".join(unicodedata.normalize("NFC", draft.name.casefold()).split())
        if key in first:
            loading.problems.add(
                draft.place,
                f"two arms have this name, the first on line {first[key].place.line}",
                field="arms",
                given=draft.name,
                hint="Each row of a table requires a unique name.",
            )
        first.setdefault(key, draft)


def _check_accelerators(drafts: Sequence[ArmDraft], of_study: str | None, loading: Loading) -> None:
    """Report arms without an accelerator type if other arms specify one.

    Unrestricted trials would occupy nodes for which the other trials wait.
    """
    named = list(dict.fromkeys(draft.accelerator for draft in drafts if draft.accelerator))
    for draft in drafts if named and not of_study else ():
        if not draft.accelerator:
            loading.problems.add(
                draft.place,
                f"other arms specify an accelerator ({', '.join(named)}), but this arm does not",
                field="resources.accelerator",
                given=draft.name,
                hint="Specify it here too, or for all other arms in the study's `resources: {accelerator: …}`.",
            )


def _check_options_act(drafts: Sequence[ArmDraft], factors: Sequence[str], varies: Varies, loading: Loading) -> None:
    """Report an option that every arm overrides and that would therefore silently have no effect."""
    for setting in loading.options:
        if varies != "arms" and setting.name in factors:
            rule, hint = (
                f"the {varies} of this study varies this setting",
                "Edit the study file to vary it differently.",
            )
        elif drafts and all(any(own.name == setting.name for own in draft.settings) for draft in drafts):
            rule, hint = "every arm of this study overrides this setting", "Edit the arms in the study file."
        else:
            continue
        loading.problems.add(setting.place, rule, field=setting.name, hint=hint)
