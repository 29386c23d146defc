"""The scripted runner, and placeholders for prepared data, which its trials do not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agrm_study.execution.dispatch.known_trials import read_known
from agrm_study.execution.dispatch.search_phase import SearchPlan, plan_search
from agrm_study.records.location import Location
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

HERE = str(Path(__file__).parent)
"""Folder of the runners, for the path of processes that import them."""
RUNNER = "scripted_runner:ScriptedRunner"


class NamedData:
    """Takes the place of `Prepared`."""

    notes: tuple[str, ...] = ()

    def clip_counts(self, recipe: object) -> dict[str, int]:
        return {"train": 16}

    def fingerprints(self, recipe: Recipe) -> tuple[str, str]:
        return "data", "split"

    def manifest_path(self, recipe: Recipe) -> str:
        return ""

    def store_path(self, recipe: Recipe) -> str:
        return ""

    def data(self) -> dict[str, int]:
        return {}

    def subjects(self) -> dict[str, list[dict[str, Any]]]:
        return {"split": [{"subject_id": "a", "split_seed": 0, "split": "test", "label": "normal"}]}

    def provenance(self) -> dict[str, dict[str, str]]:
        return {"manifest": {"data_fingerprint": "data"}}


def search_plan(study: Study, results: Path) -> SearchPlan:
    """The plan of a study's searches over these data."""
    place = Location.of(results)
    plan = plan_search(study, NamedData(), place, read_known(place))  # type: ignore[arg-type]
    assert plan is not None
    return plan
