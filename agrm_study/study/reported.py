"""Which network of a trial is judged on validation and reported: the teacher or the student?"""

from __future__ import annotations

from typing import Final, Literal

from agrm_study.study.recipe import Recipe

Network = Literal["teacher", "student"]

TEACHER_METHODS: Final = ("mean_teacher", "agrm")
"""Methods that keep a teacher (`Recipe.has_teacher`), for those who have only a record."""


def reported_network(recipe: Recipe) -> Network:
    """The network that a recipe asks for (`evaluate.network`), or the student where the method has no teacher."""
    return reported_of(recipe.ssl.method, recipe.evaluate.network)


def reported_of(method: str | None, asked: str) -> Network:
    """The same of a method and an `evaluate.network` alone."""
    return "teacher" if asked == "teacher" and method in TEACHER_METHODS else "student"
