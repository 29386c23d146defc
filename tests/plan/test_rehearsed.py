"""Timed steps are converted to hours by counting the steps, windows and epochs of a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agrm_study.plan.plan import Plan
from agrm_study.plan.rehearsed import Rehearsed, bound_cost, record_bytes, trial_seconds
from agrm_study.study.recipe import Recipe
from agrm_study.study.tasks import BUILT_IN

PlanOf = Callable[..., Plan]
CLIPS = {"train": 32, "val": 8, "test": 10, "unlabelled_train": 100, "unlabelled_val": 6}
STEPS = Rehearsed(supervised=(1.0, 2.0, 3.0), full=(7.0, 8.0, 9.0), window=(0.1,), network_bytes=1000)


def recipe(**settings: object) -> Recipe:
    asked = {"epochs": 20, "batch": {"labelled": 16, "unlabelled": 16}, "evaluate": {"clips": 5}} | settings
    return Recipe.model_validate(asked)


def test_a_trial_counts_its_steps_its_validation_and_its_predictions() -> None:
    """10 supervised epochs of 2 steps and 40 windows, 10 with unlabelled clips where two networks see 40 + 6."""
    expected = 10 * (2 * 2 + 40 * 0.1) + 10 * (2 * 8 + 2 * (40 + 6) * 0.1) + 2 * (32 + 8 + 10) * 5 * 0.1
    assert trial_seconds(recipe(), STEPS, CLIPS) == pytest.approx(expected)


def test_a_supervised_trial_has_one_network_and_no_unlabelled_clip() -> None:
    times = replace(STEPS, full=())
    found = trial_seconds(recipe(ssl={"method": "supervised"}), times, CLIPS)
    assert found == pytest.approx(20 * (2 * 2 + 40 * 0.1) + 50 * 5 * 0.1)


def test_steps_that_the_data_do_not_fill_count_by_their_clips() -> None:
    few = CLIPS | {"train": 8, "unlabelled_train": 4}
    found = trial_seconds(recipe(epochs=11), STEPS, few) - trial_seconds(recipe(epochs=10), STEPS, few)
    assert found == pytest.approx(2 * 8 / 16 + 6 * 4 / 16 + 2 * (40 + 6) * 0.1)


@pytest.mark.parametrize(("inherited", "saved"), [(4, 4 * (2 * 2 + 4.0)), (12, 10 * 8.0 + 2 * (2 * 8 + 9.2))])
def test_epochs_that_are_taken_over_are_not_counted(inherited: int, saved: float) -> None:
    whole = trial_seconds(recipe(), STEPS, CLIPS)
    assert whole - trial_seconds(recipe(), STEPS, CLIPS, inherited=inherited) == pytest.approx(saved)


def test_the_bound_is_the_sum_and_its_spread_that_of_the_steps(plan_of: PlanOf) -> None:
    plan = plan_of("arms: [{name: AGRM}, {name: wide, set: {model.width: 128}}]\n", "tasks=[two_class]", "seeds=2")
    timed = {trial.trial_id: STEPS for trial in plan.trials if trial.arm == "AGRM"}
    bound = bound_cost(plan.trials, timed, lambda recipe: CLIPS)
    assert bound is not None
    one = next(trial.recipe for trial in plan.trials if trial.arm == "AGRM")
    assert (bound.trials_covered, bound.trials_unknown) == (2, 2)
    assert bound.slot_hours == pytest.approx(2 * trial_seconds(one, STEPS, CLIPS) / 3600)
    slowest, fastest = trial_seconds(one, STEPS, CLIPS, max), trial_seconds(one, STEPS, CLIPS, min)
    assert bound.plus_minus == pytest.approx(2 * (slowest - fastest) / 2 / 3600)
    assert bound_cost(plan.trials, {}, lambda recipe: CLIPS) is None


def test_records_grow_with_windows_networks_classes_and_epochs() -> None:
    agrm, supervised = recipe(), recipe(ssl={"method": "supervised"})
    two = agrm.model_copy(update={"task": BUILT_IN["two_class"]})
    windows = 2 * (32 + 8 + 10) * 5
    assert record_bytes(agrm, CLIPS) - record_bytes(two, CLIPS) == windows * 4  # one logit less
    assert record_bytes(agrm, CLIPS) > record_bytes(supervised, CLIPS)
    assert record_bytes(recipe(epochs=40), CLIPS) > record_bytes(agrm, CLIPS)
