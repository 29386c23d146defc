"""Arms of a study with identical training, and the ineffective settings in which they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agrm_study.plan.acting import acting_members, idle_settings
from agrm_study.study.recipe import Recipe
from agrm_study.study.settings import known_settings, value_of
from agrm_study.study.tasks import BUILT_IN

DATA = ("data.manifest", "data.synthetic")
"""Excluded from `acting_members`, since their content is fingerprinted; here, different names mean different data."""


@dataclass(frozen=True, slots=True)
class SameTraining:
    """Arms that share all their trials.

    Attributes:
        arms: Names, in the order of the study; at least two.
        idle: Settings in which they differ, each with the reason for its lack of effect; empty for equal settings.
    """

    arms: tuple[str, ...]
    idle: Mapping[str, str]

    @property
    def sentence(self) -> str:
        """The group and the reason, as a warning."""
        *first, last = (f"`{name}`" for name in self.arms)
        arms = f"{', '.join(first)} and {last}"
        if not self.idle:
            return f"The arms {arms} train identically: their settings are equal. They cannot be compared."
        reasons: dict[str, list[str]] = {}
        for name, why in self.idle.items():
            reasons.setdefault(why, []).append(name)
        because = "; ".join(
            f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no effect ({why})"
            for why, names in reasons.items()
        )
        return f"The arms {arms} train identically: {because}. They cannot be compared."


def same_training(arms: Iterable[tuple[str, Recipe]]) -> tuple[SameTraining, ...]:
    """The groups of arms with identical training, in the order of their first arm.

    Args:
        arms: Name and recipe of each arm of one study; task and seeds are ignored.
    """
    groups: dict[tuple[Any, ...], dict[str, Recipe]] = {}
    for name, recipe in arms:
        members = acting_members(recipe.model_copy(update={"task": BUILT_IN["three_class"]}))
        key = (*(members[setting] for setting in sorted(members)), *(value_of(recipe, setting) for setting in DATA))
        groups.setdefault(key, {})[name] = recipe
    return tuple(
        SameTraining(tuple(group), idle_between(tuple(group.values()))) for group in groups.values() if len(group) > 1
    )


def idle_between(recipes: Sequence[Recipe]) -> dict[str, str]:
    """The settings in which recipes with identical training differ, with the reason for their lack of effect."""
    reasons = [idle_settings(recipe) for recipe in recipes]
    found: dict[str, str] = {}
    for name in known_settings():
        if any(value_of(recipe, name) != value_of(recipes[0], name) for recipe in recipes[1:]):
            why = next((idle[name] for idle in reasons if name in idle), "it resolves to the same value")
            found[name] = why
    return found
