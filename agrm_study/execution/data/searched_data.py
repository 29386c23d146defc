"""Recipes for all data settings that a search can draw; their data are prepared before its first trial starts."""

from __future__ import annotations

import itertools
from typing import Any, Final

from agrm_study.plan.promotion import search_arm
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

OF_ANY_STORE: Final = ("clip.frames", "clip.size")
"""Settings of the clips that any clip store serves, up to the largest size."""


def searched_recipes(study: Study) -> list[Recipe]:
    """A recipe for each combination of the data settings that a search varies; empty if it varies none.

    Raises:
        InputError: For a range over a data setting, as each value would need separate data.
    """
    if study.search is None:
        return []
    varied: dict[str, tuple[Any, ...]] = {}
    for name, dimension in study.search.space.items():
        if not name.startswith(("data.", "clip.")):
            continue
        if dimension.choices is None and name not in OF_ANY_STORE:
            raise InputError(
                "a search may pick data settings from a list only: each value needs videos prepared for it",
                where=study.path,
                field=f"search.space.{name}",
                given=dimension.kind,
                allowed="choice: [a, b, …]",
            )
        varied[name] = dimension.probes
    if not varied:
        return []
    found = []
    for values in itertools.product(*varied.values()):
        try:
            found.append(search_arm(study, dict(zip(varied, values, strict=True))).recipe)
        except InputError:
            continue  # no recipe allows the combination, so no trial will ask for it
    return found
