"""What recipe does each arm come to, and is it valid?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from agrm_study.study.arms import ArmDraft, check_accelerators, check_arm_names, check_factors, grid_arms, listed_arms
from agrm_study.study.merge import Tree, build_recipe, with_settings
from agrm_study.study.problems import Names, Places, Problems
from agrm_study.study.search_space import Search
from agrm_study.study.settings import Setting, resolve_path
from agrm_study.study.spec import BASE_ARM, StudyFile, reference_of
from agrm_study.study.study import Arm, Varies


def build_arms(
    spec: StudyFile,
    tree: Tree,
    origins: Places,
    places: Places,
    problems: Problems,
    names: Names,
    given: Sequence[Setting],
    *,
    check: bool,
) -> tuple[list[Arm], Varies, tuple[str, ...]]:
    """The arms with their recipes; with ``check`` off only what can be said without a valid base is noted."""
    if spec.search is not None:
        factors = _search_dimensions(spec.search, tree, origins, places, problems, names, check=check)
        drafts = [ArmDraft(BASE_ARM, (), places.find(("reference",)))] if reference_of(spec) == BASE_ARM else []
        varies: Varies = "search"
    elif spec.grid is not None:
        drafts, varies = grid_arms(spec.grid, places, problems), "grid"
        factors = tuple(spec.grid)
    else:
        drafts, varies = listed_arms(spec.arms or (), places, problems), "arms"
        factors = tuple(dict.fromkeys(setting.name for draft in drafts for setting in draft.settings))
    check_arm_names(drafts, problems)
    check_accelerators(drafts, spec.resources.accelerator, problems)
    _check_overrides_act(given, drafts, factors if varies != "arms" else (), varies, problems)
    if not check:
        return [], varies, factors
    folder = Path(origins.default.where or ".").parent
    arms = []
    for draft in drafts:
        settings = [resolve_path(setting, folder) for setting in draft.settings]
        merged = with_settings(tree, settings)
        recipe = (
            build_recipe(merged, _arm_places(origins, draft), problems, names, prefix=f"arm {draft.name}: ")
            if draft.settings
            else build_recipe(merged, origins, problems, names)
        )
        if recipe is not None:
            values = MappingProxyType({setting.name: setting.value for setting in settings})
            arms.append(Arm(name=draft.name, settings=values, recipe=recipe, accelerator=draft.accelerator))
    return arms, varies, factors


def _arm_places(origins: Places, draft: ArmDraft) -> Places:
    """An arm's own settings stand in its own lines; everything else that is wrong with it stands at its name."""
    places = Places(draft.place)
    for setting in draft.settings:
        places.by_path[tuple(setting.name.split("."))] = setting.place
    return places


def _check_overrides_act(
    given: Sequence[Setting], drafts: Sequence[ArmDraft], factors: Sequence[str], varies: Varies, problems: Problems
) -> None:
    """An option that every arm overrules would silently do nothing."""
    for setting in given:
        if setting.name in factors:
            problems.add(
                setting.place,
                f"the {varies} of this study varies this setting",
                field=setting.name,
                hint="Edit the study file to vary it otherwise.",
            )
        elif drafts and all(any(own.name == setting.name for own in draft.settings) for draft in drafts):
            problems.add(
                setting.place,
                "every arm of this study sets this itself",
                field=setting.name,
                hint="Edit the arms in the study file.",
            )


def _search_dimensions(
    search: Search, tree: Tree, origins: Places, places: Places, problems: Problems, names: Names, *, check: bool
) -> tuple[str, ...]:
    """The names of a search's dimensions, after trying both ends of each range and every choice."""
    usable = check_factors(("search", "space"), search.space, places, problems)
    if check:
        for name in usable:
            place = places.find(("search", "space", name))
            for probe in search.space[name].probes:
                setting = Setting(name, probe, place)
                build_recipe(with_settings(tree, [setting]), Places(place), problems, names, prefix="search.space: ")
    return tuple(usable)
