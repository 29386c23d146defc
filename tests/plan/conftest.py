"""Typical studies to plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agrm_study.plan.expand import expand
from agrm_study.plan.plan import Plan
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

HEAD = """\
name: trial
tasks: [two_class, three_class]
seeds: [0, 1, 2]
data: {synthetic: {subjects: 12, unlabelled: 12}}
"""


def fingerprints(recipe: Recipe) -> tuple[str, str]:
    """As if a manifest had been read: the split depends on what is asked of the data and on its seed."""
    data = recipe.data
    asked = (data.labelled_fraction, data.unlabelled_train, data.unlabelled_val, data.views, recipe.split_seed)
    return "data", f"split of {asked}"


@pytest.fixture
def study_of(tmp_path: Path) -> Callable[..., Study]:
    def load(text: str, *overrides: str) -> Study:
        file = tmp_path / "study.yaml"
        file.write_text(HEAD + text, encoding="utf-8")
        return load_study(file, overrides=overrides)

    return load


@pytest.fixture
def plan_of(study_of: Callable[..., Study]) -> Callable[..., Plan]:
    return lambda text, *overrides: expand(study_of(text, *overrides), fingerprints)
