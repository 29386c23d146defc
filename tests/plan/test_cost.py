"""The cost of missing trials is estimated from measured ones, and not stated if there are no measurements."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from agrm_study.plan.cost import estimate_cost, unmeasured
from agrm_study.plan.plan import Plan

PlanOf = Callable[..., Plan]
ARMS = "arms:\n  - {name: AGRM}\n  - {name: w/o MTM, set: {ssl.method: supervised}}\n"


def row(method: str = "agrm", wall_s: float = 3600.0, epochs: int = 100, **more: object) -> dict[str, object]:
    return {"backbone": "r3d_18", "method": method, "task": "two_class", "wall_s": wall_s, "epochs": epochs, **more}


def test_without_measurements_there_is_no_estimate(plan_of: PlanOf) -> None:
    plan = plan_of(ARMS, "tasks=[two_class]")
    assert estimate_cost(plan.trials, []) is None
    assert estimate_cost(plan.trials, [row(method="fixmatch")]) is None
    assert estimate_cost(plan.trials, [row(wall_s=math.nan), row(epochs=0)]) is None


def test_trials_of_a_measured_kind_cost_what_it_cost(plan_of: PlanOf) -> None:
    plan = plan_of(ARMS, "tasks=[two_class]")
    cost = estimate_cost(plan.trials, [row(wall_s=1800.0), row(wall_s=5400.0)])
    assert cost is not None
    assert (cost.trials_covered, cost.trials_unknown) == (3, 3)
    assert {trial.arm for trial in unmeasured(plan.trials, [row()])} == {"w/o MTM"}
    assert cost.slot_hours == pytest.approx(3.0)
    between = 1800.0**2 * 2  # the sample variance of 1800 and 5400
    assert cost.plus_minus == pytest.approx(1.96 * math.sqrt(between * (9 / 2 + 3)) / 3600)


def test_one_measurement_gives_no_interval(plan_of: PlanOf) -> None:
    cost = estimate_cost(plan_of(ARMS, "tasks=[two_class]").trials, [row(), row(method="supervised", wall_s=360.0)])
    assert cost is not None
    assert cost.slot_hours == pytest.approx(3 * 1.1)
    assert cost.plus_minus is None


def test_a_shorter_trial_costs_its_own_epochs(plan_of: PlanOf) -> None:
    plan = plan_of("arms: [{name: short, set: {epochs: 50}}]\n", "tasks=[two_class]", "seeds=1")
    cost = estimate_cost(plan.trials, [row(wall_s=2880.0, epochs=80)])
    assert cost is not None
    assert cost.slot_hours == pytest.approx(0.5)


def test_epochs_that_are_taken_over_cost_nothing_and_pretraining_less_than_the_rest(plan_of: PlanOf) -> None:
    """A step of AGRM: 3 passes a labelled clip and, after pre-training, 4 an unlabelled one; batches are alike."""
    plan = plan_of("arms: [{name: AGRM}]\n", "tasks=[two_class]", "seeds=2")
    one, other = plan.trials
    assert one.recipe.batch.labelled == one.recipe.batch.unlabelled
    measured = [row(wall_s=3600.0, epochs=100)]
    shared = estimate_cost(plan.trials, measured, inherited={other.trial_id: 10})
    assert shared is not None
    assert shared.slot_hours == pytest.approx(2 - 10 * 3 / (10 * 3 + 90 * 7))
    whole = estimate_cost(plan.trials, measured, inherited={other.trial_id: 100})
    assert whole is not None
    assert whole.slot_hours == pytest.approx(1.0)


def test_trials_measured_with_fewer_epochs_do_not_shorten_the_estimate_or_its_interval(plan_of: PlanOf) -> None:
    plan = plan_of("arms: [{name: AGRM, set: {epochs: 100}}]\n", "tasks=[two_class]", "seeds=3")
    measured = [row(wall_s=wall_s, epochs=4, stop_reason="epochs") for wall_s in (60.0, 84.0)]
    cost = estimate_cost(plan.trials, measured)
    assert cost is not None
    assert cost.slot_hours == pytest.approx(3 * 18.0 * 100 / 3600)
    between = 12.0**2 * 2 * 25**2  # the sample variance of 60 and 84, for 25 times the epochs
    assert cost.plus_minus == pytest.approx(1.96 * math.sqrt(between * (9 / 2 + 3)) / 3600)
