"""Expansion into trials: every cell has one, equal trials run once, and the order fills all arms evenly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from agrm_study.plan.expand import expand
from agrm_study.plan.order import rough_cost
from agrm_study.plan.plan import Plan, read_cells, write_cells
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.study import Study

PlanOf = Callable[..., Plan]
ABLATION = """\
arms:
  - {name: AGRM}
  - {name: w/o MTM, set: {ssl.method: supervised}}
  - {name: w/o SHPM, set: {model.pooling.name: average}}
  - {name: w/o both, set: {ssl.method: supervised, model.pooling.name: average}}
"""


def test_every_arm_task_and_seed_has_a_trial(plan_of: PlanOf) -> None:
    plan = plan_of(ABLATION)
    assert len(plan.trials) == len(plan.cells) == 4 * 2 * 3
    assert {(cell.arm, cell.task, cell.seed) for cell in plan.cells} == {
        (arm, task, seed)
        for arm in ("AGRM", "w/o MTM", "w/o SHPM", "w/o both")
        for task in ("two_class", "three_class")
        for seed in (0, 1, 2)
    }
    assert plan.merged == 0


def test_a_trial_knows_its_recipe_its_factors_and_its_fingerprints(plan_of: PlanOf) -> None:
    plan = plan_of(ABLATION)
    [cell] = [cell for cell in plan.cells if (cell.arm, cell.task, cell.seed) == ("w/o MTM", "two_class", 2)]
    trial = plan.by_id[cell.trial_id]
    assert (trial.arm, trial.task, trial.seed, trial.phase, trial.study) == (
        "w/o MTM",
        "two_class",
        2,
        "final",
        "trial",
    )
    assert trial.recipe.ssl.method == "supervised"
    assert trial.params == {"ssl.method": "supervised"}
    assert trial.data_fingerprint == "data"
    assert trial.split_fingerprint == "split of (1.0, 364, 324, (0, 180), 0)"
    assert trial.labelled_fingerprint == "split of (1.0, 0, 0, (), 0)"
    assert json.dumps(trial.params)


def test_equal_trials_of_two_arms_are_run_once(plan_of: PlanOf) -> None:
    plan = plan_of(
        "arms:\n  - {name: a, set: {ssl.method: supervised, ssl.ema.alpha: 0.5}}\n"
        "  - {name: b, set: {ssl.method: supervised, ssl.ema.alpha: 0.9}}\n  - {name: c}\n"
    )
    assert (len(plan.cells), len(plan.trials), plan.merged) == (18, 12, 6)
    shared = {cell.trial_id for cell in plan.cells if cell.arm == "a"}
    assert shared == {cell.trial_id for cell in plan.cells if cell.arm == "b"}
    assert all(plan.arms_of(trial) == ("a", "b") for trial in shared)


def test_supervised_arms_do_not_depend_on_how_many_unlabelled_clips_there_are(plan_of: PlanOf) -> None:
    plan = plan_of(
        "grid:\n  ssl.method: [supervised, agrm]\n  data.unlabelled_train: [10, 20]\n", "tasks=[two_class]", "seeds=1"
    )
    by_arm = {cell.arm: cell.trial_id for cell in plan.cells}
    assert by_arm["method=supervised, unlabelled=10"] == by_arm["method=supervised, unlabelled=20"]
    assert by_arm["method=agrm, unlabelled=10"] != by_arm["method=agrm, unlabelled=20"]


def test_replicates_have_one_configuration_and_arms_have_several(plan_of: PlanOf) -> None:
    plan = plan_of(ABLATION)
    assert len({trial.config_id for trial in plan.trials}) == 4 * 2
    assert len({trial.trial_id for trial in plan.trials}) == 24


def test_widening_a_study_keeps_the_trials_it_had(plan_of: PlanOf) -> None:
    narrow = plan_of("grid: {ssl.threshold.tau: [0.7, 0.8]}\n", "seeds=2")
    wide = plan_of("grid: {ssl.threshold.tau: [0.6, 0.7, 0.8, 0.9]}\n", "seeds=3", "resources.cpu=4")
    assert set(narrow.by_id) < set(wide.by_id)


def test_what_is_finished_is_not_missing(plan_of: PlanOf) -> None:
    plan = plan_of(ABLATION)
    done = [trial.trial_id for trial in plan.trials[::2]]
    assert plan.missing(done) == plan.trials[1::2]
    assert plan.missing([]) == plan.trials
    assert plan.missing(list(plan.by_id)) == ()


def test_every_arm_has_two_replicates_before_any_has_three(plan_of: PlanOf) -> None:
    plan = plan_of(ABLATION, "seeds=[4, 0, 2]")
    filled: Counter[tuple[str, str]] = Counter()
    for trial in plan.trials:
        filled[(trial.arm, trial.task)] += 1
        assert max(filled.values()) - min(filled.get(key, 0) for key in filled) <= 1
        if filled[(trial.arm, trial.task)] == 2:
            assert len(filled) == 8
    assert [trial.seed for trial in plan.trials] == [4] * 8 + [0] * 8 + [2] * 8


def test_within_a_seed_the_long_trials_start_first(plan_of: PlanOf) -> None:
    plan = plan_of(
        "arms:\n  - {name: short, set: {ssl.method: supervised, epochs: 20}}\n  - {name: long}\n"
        "  - {name: longer, set: {model.depth: 34}}\n",
        "tasks=[two_class]",
    )
    assert [trial.arm for trial in plan.trials] == ["longer", "long", "short"] * 3


def test_the_rough_cost_grows_with_all_that_takes_time() -> None:
    base = Recipe()
    deeper = base.model_copy(update={"model": base.model.model_copy(update={"depth": 34})})
    wider = base.model_copy(update={"model": base.model.model_copy(update={"width": 128})})
    larger = base.model_copy(update={"clip": base.clip.model_copy(update={"frames": 32})})
    more = base.model_copy(update={"epochs": 200})
    views = base.model_copy(update={"ssl": base.ssl.model_copy(update={"views": 2})})
    supervised = base.model_copy(update={"ssl": base.ssl.model_copy(update={"method": "supervised"})})
    assert rough_cost(supervised) < rough_cost(base) < min(map(rough_cost, (deeper, wider, larger, more, views)))


def test_each_data_section_is_asked_for_once(study_of: Callable[..., Study]) -> None:
    asked: list[Recipe] = []

    def fingerprints(recipe: Recipe) -> tuple[str, str]:
        asked.append(recipe)
        return "d", "s"

    expand(study_of(ABLATION), fingerprints)
    assert len(asked) == 2  # with the unlabelled clips, and without


def test_the_cells_are_written_and_read_back(plan_of: PlanOf, tmp_path: Path) -> None:
    plan = plan_of(ABLATION)
    write_cells(plan, tmp_path / "results" / "plan.json")
    assert read_cells(tmp_path / "results" / "plan.json") == plan.cells
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["plan.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a valid plan"),
        ("{}", "is not a valid plan"),
        ('{"plan_version": 9, "cells": []}', "different version; given 9"),
        (None, "cannot be read"),
    ],
)
def test_a_damaged_plan_is_one_message(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=said):
        read_cells(file)
