"""The network of a trial that is judged on validation and reported: the teacher or the student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from agrm_study.study.recipe import Recipe

Network = Literal["teacher", "student"]

TEACHER_METHODS: Final = ("mean_teacher", "agrm")
"""Methods with a teacher (`Recipe.has_teacher`), for use with records."""


def reported_network(recipe: Recipe) -> Network:
    """The network that a recipe asks for (`evaluate.network`), or the student where the method has no teacher."""
    return reported_of(recipe.ssl.method, recipe.evaluate.network)


def reported_of(method: str | None, asked: str) -> Network:
    """The reported network for a method and a value of `evaluate.network`."""
    return "teacher" if asked == "teacher" and method in TEACHER_METHODS else "student"


def reported_in_record(method: str | None, factors: Mapping[str, Any], asked: str) -> Network:
    """The reported network of a `trials` record.

    Args:
        method: ``method`` of the record.
        factors: ``params`` of the record.
        asked: `evaluate.network` of the study's base recipe, which a factor overrides.
    """
    return reported_of(method, factors.get("evaluate.network", asked))
