"""Disk use is estimated from the parameter counts of finished trials: permanent weights and temporary states."""

from __future__ import annotations

from collections.abc import Callable

from agrm_study.plan.disk import Disk, estimate_disk
from agrm_study.plan.plan import Plan
from agrm_study.plan.stages import plan_stages

PlanOf = Callable[..., Plan]
ARMS = """\
arms:
  - {name: AGRM}
  - {name: τ, set: {ssl.threshold.tau: 0.9}}
  - {name: S, set: {ssl.method: supervised}}
"""
MEASURED = [{"backbone": "r3d_18", "pooling": "shpm", "n_params": n} for n in (900, 1100)]
MB = 4 * 1000
"""Bytes of a network of a thousand parameters."""


def disk(plan: Plan, *, keep: bool = False, measured: list[dict[str, object]] = MEASURED) -> Disk | None:
    return estimate_disk(plan.trials, plan_stages(plan.trials), measured, keep=keep, record_bytes=500.0)


def test_networks_optimizer_and_best_weights_are_what_a_state_holds(plan_of: PlanOf) -> None:
    found = disk(plan_of(ARMS, "tasks=[two_class]", "seeds=2"))
    assert found is not None
    assert found.weights == 2 * (2 + 2 + 1) * MB
    assert found.checkpoint == (2 + 2 + 2) * MB  # student, teacher; their best; two averages of Adam
    assert found.states == 2 * (1 + 1 + 2) * MB  # one pre-training a seed
    assert (found.records, found.unknown) == (6 * 500, 0)


def test_kept_states_are_counted_to_the_last_epoch(plan_of: PlanOf) -> None:
    found = disk(plan_of(ARMS, "tasks=[two_class]", "seeds=1"), keep=True)
    assert found is not None
    assert found.states == (4 + 6 + 6 + 4) * MB


def test_networks_that_were_never_measured_are_left_out_and_said(plan_of: PlanOf) -> None:
    text = "arms:\n  - {name: AGRM}\n  - {name: average, set: {model.pooling.name: average}}\n"
    plan = plan_of(text, "tasks=[two_class]", "seeds=1")
    found = disk(plan)
    assert found is not None
    assert (found.weights, found.unknown) == (2 * MB, 1)
    assert disk(plan, measured=[]) is None


def test_networks_whose_size_is_known_need_no_finished_trial(plan_of: PlanOf) -> None:
    plan = plan_of(ARMS, "tasks=[two_class]", "seeds=1")
    sizes = {trial.trial_id: 500 for trial in plan.trials if trial.arm != "τ"}
    found = estimate_disk(plan.trials, plan_stages(plan.trials), [], keep=False, record_bytes=None, network_bytes=sizes)
    assert found is not None
    assert (found.weights, found.checkpoint) == ((2 + 1) * 500, 6 * 500)
    assert (found.records, found.unknown) == (None, 1)


def test_weights_that_are_not_kept_take_no_room_and_the_sum_is_a_bound(plan_of: PlanOf) -> None:
    plan = plan_of(ARMS, "tasks=[two_class]", "seeds=2")
    kept = disk(plan)
    found = estimate_disk(
        plan.trials, plan_stages(plan.trials), MEASURED, keep=False, record_bytes=500.0, keep_weights=False
    )
    assert kept is not None
    assert found is not None
    assert found.weights == 0
    assert kept.at_most - found.at_most == kept.weights
    assert found.at_most == found.states + found.checkpoint + 6 * 500
