"""Promotion of the best points of a search to arms of a study, or to the settings of a tuned arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agrm_study.plan.acting import acting_recipe
from agrm_study.plan.searches import PlannedSearch
from agrm_study.study.study import Arm, Study, Tuned


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point whose trials have finished.

    Attributes:
        settings: Sampled values by dotted name; dimensions whose conditions are not met are omitted.
        values: Objectives on validation data, in the order of the search's metrics; means over the seeds.
        excess: Amount by which each constraint is violated; positive or NaN for a violation.
    """

    settings: Mapping[str, Any]
    values: tuple[float, ...]
    excess: tuple[float, ...] = ()


def ranked(search: PlannedSearch, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that can be chosen, best first, with ties in sampling order.

    With multiple objectives, these form the Pareto front, ordered by the first objective. Candidates with an undefined
    value or a violated constraint are left out.
    """
    signs = [1.0 if direction == "maximize" else -1.0 for direction in search.settings.directions]
    allowed = [c for c in candidates if all(each <= 0 for each in c.excess)]
    scored = [(tuple(s * v for s, v in zip(signs, c.values, strict=True)), c) for c in allowed]
    usable = [(score, c) for score, c in scored if all(math.isfinite(value) for value in score)]
    if len(signs) > 1:
        usable = [item for item in usable if not any(_dominates(other, item[0]) for other, _ in usable)]
    return [candidate for _, candidate in sorted(usable, key=lambda item: item[0], reverse=True)]


def promoted(search: PlannedSearch, candidates: Sequence[Candidate]) -> Study:
    """The study whose arms are the best candidates, plus the base if it is the reference.

    Candidates with identical training count only once.

    Args:
        search: The search of a study.
        candidates: Finished points of the search.
    """
    arms: dict[str, Arm] = {}
    for candidate in ranked(search, candidates):
        if len(arms) == search.chosen:
            break
        recipe = search.recipe(candidate.settings)
        if all(acting_recipe(other.recipe) != acting_recipe(recipe) for other in arms.values()):
            name = _distinct(search.point_name(candidate.settings), arms)
            arms[name] = Arm(name=name, settings=dict(candidate.settings), recipe=recipe)
    return replace(search.study, arms=(*search.study.arms, *arms.values()))


def tuned(study: Study, found: Sequence[tuple[PlannedSearch, Sequence[Candidate]]]) -> Study:
    """The study whose arms have the best settings of their searches; an arm without a valid point for a task remains
    untuned for that task.

    Args:
        study: A study that tunes its arms.
        found: Finished searches, with their finished points.
    """
    chosen: dict[str, dict[str, Tuned]] = {}
    for search, candidates in found:
        for best in ranked(search, candidates)[:1]:
            its = Tuned(settings=dict(best.settings), recipe=search.recipe(best.settings))
            chosen.setdefault(search.arm_name, {})[search.task] = its
    return replace(study, arms=tuple(replace(arm, tuned=chosen.get(arm.name, {})) for arm in study.arms))


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def _distinct(name: str, taken: Mapping[str, object]) -> str:
    """The name, numbered if rounding made two names equal."""
    number = 2
    candidate = name
    while candidate in taken:
        candidate, number = f"{name} ({number})", number + 1
    return candidate
