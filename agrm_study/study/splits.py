"""Folds of a study: every labelled subject is tested once per repeat and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from agrm_study.study.data_settings import SplitFractions
from agrm_study.study.recipe import Recipe
from agrm_study.study.section import Section

MAX_FOLDS: Final = 1000
"""Maximum number of folds, as for `data.folds`."""
MAX_REPEATS: Final = 100
"""Maximum number of repeats."""

FOLD_SETTINGS: Final = ("data.folds", "data.fold", "data.first_fold", "data.fold_group", "data.split_file")
"""Settings that are set by `splits` or conflict with it."""


class Splits(Section):
    """Folds over the labelled subjects: each subject is tested once per repeat and seed, and tables pool the folds."""

    folds: Annotated[int, Field(ge=2, le=MAX_FOLDS)]
    """Number of folds. There is one training run per fold, arm, task and seed; its test part is the fold, and its
    validation part is sampled from the other folds in the proportions of `data.split`."""
    repeats: Annotated[int, Field(ge=1, le=MAX_REPEATS)] = 1
    """Number of times that the subjects are divided into folds; repeat r, counted from 0, uses `split_seed` + r."""
    group: Literal["subject", "site"] = "subject"
    """Unit that is never divided between folds: with `site`, all subjects of a site are tested in the same fold, so
    that each network is tested on sites on which it was not trained. Requires the manifest column `site`, and at least
    as many sites as folds."""


@dataclass(frozen=True, slots=True, order=True)
class Fold:
    """One fold of one repeat.

    Attributes:
        repeat: Index of the repeat, counted from 0; added to the split seed of the study.
        number: Index of the fold used as the test part, counted from 0.
    """

    repeat: int
    number: int


def equal_share(splits: Splits, shares: SplitFractions) -> bool:
    """Whether the test share of a study without folds equals the size of a fold."""
    return abs(splits.folds * shares.test - 1.0) < 1e-9


def first_fold(splits: Splits, shares: SplitFractions) -> Literal["split", "dealt"]:
    """``split`` if fold 0 equals the split of a study without folds (the test share equals the size of a fold, and
    folds may divide sites), otherwise ``dealt``."""
    return "split" if splits.group == "subject" and equal_share(splits, shares) else "dealt"


def in_fold(recipe: Recipe, splits: Splits | None, number: int | None) -> Recipe:
    """The recipe of one fold; unchanged without folds, and for fold 0 if it equals the split without folds.

    Args:
        recipe: A recipe with the split seed of its repeat.
        splits: The folds of the study.
        number: Index of the fold used as the test part.
    """
    if splits is None or number is None:
        return recipe
    first = first_fold(splits, recipe.data.split)
    if number == 0 and first == "split":
        return recipe
    values = {"folds": splits.folds, "fold": number, "first_fold": first, "fold_group": splits.group}
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=values)})


def divided(recipe: Recipe, splits: Splits) -> Iterator[tuple[Fold, Recipe]]:
    """The recipe of every fold, repeat by repeat.

    If the test share of a study equals the size of a fold, fold 0 is the recipe without folds: it has the same split
    and the same identity, so that finished trials are reused.

    Args:
        recipe: A recipe with the split seed of the study.
        splits: The folds of the study.
    """
    for repeat in range(splits.repeats):
        whole = recipe.model_copy(update={"split_seed": recipe.split_seed + repeat})
        for number in range(splits.folds):
            yield Fold(repeat, number), in_fold(whole, splits, number)
