"""A recipe for tests that measure a step, which takes milliseconds on a CPU."""

from typing import Any

from agrm_study.study.recipe import Recipe


def small_recipe(**settings: Any) -> Recipe:
    """A few small clips for a narrow network, and what else is set."""
    recipe = {
        "clip": {"frames": 4, "size": 32, "resize": 40},
        "model": {"width": 8, "depth": 10},
        "batch": {"labelled": 3, "unlabelled": 2},
        "evaluate": {"batch": 4},
    } | settings
    return Recipe.model_validate(recipe)
