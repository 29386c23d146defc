"""Trial ids of the shipped studies never change: a new version continues the results of an old one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agrm_study.plan.expand import TrialBuilder, expand
from agrm_study.plan.promotion import Candidate, tuned
from agrm_study.plan.searches import PlannedSearch, searches
from agrm_study.study.load import load_study
from agrm_study.study.recipe import Recipe

STUDIES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
FROZEN: dict[str, dict[str, list[str]]] = json.loads(
    Path(__file__).with_name("frozen_trial_ids.json").read_text(encoding="utf-8")
)
"""Of every shipped study, alone and with the preset: the ids of each arm and task, seed by seed; of a search also those
of two points of its space; of a study that tunes its arms those of two points of each arm's space, and of the seeds
with the first of them. Computed once, by the version that wrote the committed results. Never regenerate it to make
a test pass: a changed id means that every finished trial of every user runs again.

Changed on purpose, with the reason: in `thresholds` the arms FlexMatch, FreeMatch and SoftMatch became whole methods,
with new ids; what they were is now named "AGRM + …", with the ids that it had. Arms and studies that were added later
(`ablation`: EMA only; `controls`, `tuned`) have ids of their own."""


def fingerprints(recipe: Recipe) -> tuple[str, str]:
    """Stand-ins for those of real data: a split depends on what is asked of the data and on its seed."""
    data = recipe.data
    asked = (data.subset, data.labelled_fraction, data.unlabelled_train, data.unlabelled_val, data.views, data.folds)
    return "data", f"split {recipe.split_seed} of {asked}"


def ids_of(path: Path, preset: str | None) -> dict[str, list[str]]:
    study = load_study(path, preset=preset)
    found: dict[str, list[str]] = {}
    chosen: list[tuple[PlannedSearch, list[Candidate]]] = []
    builder = TrialBuilder(study.name, fingerprints)
    for search in searches(study):
        points: list[dict[str, Any]] = [{}, {}]
        for name, dimension in search.space.items():
            for point, value in zip(points, (dimension.probes[0], dimension.probes[-1]), strict=True):
                if dimension.when.holds(point):
                    point[name] = value
        key = "search" if search.arm is None else f"search | {search.arm_name} | {search.task}"
        found[key] = [trial.trial_id for point in points for trial in search.trials(point, builder)]
        chosen.append((search, [Candidate(points[0], (0.5,))]))
    for cell in expand(study if study.tune is None else tuned(study, chosen), fingerprints).cells:
        found.setdefault(f"{cell.arm} | {cell.task}", []).append(cell.trial_id)
    return found


@pytest.mark.parametrize("preset", [None, "tiny"])
@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_keeps_its_trial_ids(path: Path, preset: str | None) -> None:
    assert ids_of(path, preset) == FROZEN[path.stem if preset is None else f"{path.stem} --preset {preset}"]


def test_the_ids_of_all_shipped_studies_are_frozen() -> None:
    assert {name.partition(" ")[0] for name in FROZEN} == {path.stem for path in STUDIES}
