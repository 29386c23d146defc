"""Selection of the reported network of a trial: the teacher, another moving average, or the student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from agrm_study.study.recipe import Evaluate, Recipe

Network = Literal["teacher", "student", "ema"]

TEACHER_METHODS: Final = ("mean_teacher", "agrm")
"""Methods with a teacher (as in `Recipe.has_teacher`), for use with records."""


def reported_network(recipe: Recipe) -> Network:
    """The network that a recipe requests (`evaluate.network`), or the student if there is no moving average."""
    return reported_of(recipe.ssl.method, recipe.evaluate)


def reported_of(method: str | None, asked: Evaluate) -> Network:
    """The reported network for a method and evaluation settings."""
    if asked.network == "student":
        return "student"
    return "teacher" if method in TEACHER_METHODS else "ema" if asked.ema else "student"


def reported_in_record(method: str | None, factors: Mapping[str, Any], asked: Evaluate) -> Network:
    """The reported network of a `trials` record.

    Args:
        method: ``method`` of the record.
        factors: ``params`` of the record.
        asked: `evaluate` of the study's base recipe, overridden by factors.
    """
    given = {name: factors[f"evaluate.{name}"] for name in ("network", "ema") if f"evaluate.{name}" in factors}
    return reported_of(method, asked.model_copy(update=given))
