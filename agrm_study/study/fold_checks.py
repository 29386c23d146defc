"""Checks of `splits` against other keys of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from agrm_study.study.data_settings import SplitFractions
from agrm_study.study.loading import Loading
from agrm_study.study.problems import Place
from agrm_study.study.recipe import Recipe
from agrm_study.study.section import MAX_SEED
from agrm_study.study.seeds import Race
from agrm_study.study.settings import default_of, value_of
from agrm_study.study.spec import StudyFile
from agrm_study.study.splits import FOLD_SETTINGS, Splits, equal_share
from agrm_study.study.study import Arm

TESTED_ELSEWHERE: Final = "the validation subjects of one fold are test subjects of another"


def check_splits(spec: StudyFile, base: Recipe, arms: Sequence[Arm], loading: Loading) -> None:
    """Report settings that contradict `splits`."""
    splits = spec.splits
    if splits is None:
        return
    if spec.search is not None or spec.tune is not None:
        other = "a search" if spec.tune is None else "`tune`"
        rule = f"cannot be combined with {other}: {TESTED_ELSEWHERE}, so settings would be selected on test subjects"
        loading.note(
            ("splits",), rule, hint="Search or tune in a study without folds, then test the best settings with folds."
        )
    if isinstance(spec.seeds, Race):
        rule = f"cannot be combined with a race: {TESTED_ELSEWHERE}, so arms would be selected on test subjects"
        loading.note(("splits",), rule, hint="Give every arm the same seeds, `seeds: 5`, or use a race without folds.")
    if spec.split_seed + splits.repeats - 1 > MAX_SEED:
        loading.note(("splits", "repeats"), "results in a split seed larger than 2^63 - 1", given=splits.repeats)
    if splits.group == "site" and splits.repeats > 1:
        rule = "must be 1 with `group: site`: the most even division of sites into folds differs little between repeats"
        loading.note(("splits", "repeats"), rule, given=splits.repeats, hint="Add seeds instead.")
    seen: set[str] = set()
    for place, recipe in _recipes(spec, base, arms, loading):
        for name, rule, given in _contradictions(recipe, splits):
            if name not in seen:
                seen.add(name)
                loading.problems.add(
                    loading.origins.find(tuple(name.split("."))) if place is None else place,
                    rule,
                    field=name,
                    given=given,
                    hint="Remove one of the two.",
                )


def _recipes(
    spec: StudyFile, base: Recipe, arms: Sequence[Arm], loading: Loading
) -> Iterator[tuple[Place | None, Recipe]]:
    """The base recipe, which has no location, and the recipes of the arms."""
    yield None, base
    listed = {entry.name: number for number, entry in enumerate(spec.arms or ())}
    for arm in arms:
        at = ("arms", listed[arm.name], "name") if arm.name in listed else ("grid",)
        yield loading.places.find(at), arm.recipe


def _contradictions(recipe: Recipe, splits: Splits) -> Iterator[tuple[str, str, object]]:
    """Data settings that contradict folds: name, rule and value."""
    data = recipe.data
    for name in FOLD_SETTINGS:
        value = value_of(recipe, name)
        if value != default_of(name):
            yield name, "cannot be combined with `splits`, which defines the splits", value
    if data.split != SplitFractions() and not equal_share(splits, data.split):
        rule = f"must be 1/{splits.folds} with `splits: {{folds: {splits.folds}}}`, or be omitted"
        yield "data.split.test", rule, data.split.test
    if data.subset == "balanced" and splits.repeats > 1:
        rule = "samples different subjects in each repeat of `splits`, but all repeats must test the same subjects"
        yield "data.subset", rule, data.subset
