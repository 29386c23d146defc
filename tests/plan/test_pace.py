"""A trial takes the time per epoch of such trials, for as many epochs as it is expected to run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agrm_study.plan.pace import Pace
from agrm_study.plan.plan import Plan

PlanOf = Callable[..., Plan]
ARMS = "arms:\n  - {name: AGRM, set: {epochs: 50}}\n  - {name: w/o MTM, set: {ssl.method: supervised}}\n"


def row(wall_s: float, epochs: int, method: str = "agrm") -> dict[str, object]:
    return {"backbone": "r3d_18", "method": method, "task": "two_class", "wall_s": wall_s, "epochs": epochs}


def test_finished_trials_count_and_running_ones_only_until_one_has_finished(plan_of: PlanOf) -> None:
    agrm, supervised = plan_of(ARMS, "tasks=[two_class]", "seeds=1").trials
    pace = Pace()
    assert pace.seconds(agrm) is None
    pace.under_way(agrm, 10, 30.0)
    # 3 passes a labelled clip in every epoch, 4 an unlabelled one after 10 epochs of pre-training, batches alike
    assert pace.seconds(agrm) == pytest.approx(30.0 / 3 * (50 * 3 + 40 * 4))
    pace.under_way(agrm, 11, 35.0)
    assert pace.seconds(agrm) == pytest.approx(35.0 / 7 * (50 * 3 + 40 * 4))
    assert pace.seconds(supervised) is None
    pace.finished(agrm, 20, 100.0)
    pace.finished(agrm, 40, 280.0)
    assert pace.seconds(agrm) == pytest.approx((5.0 + 7.0) / 2 * 30)
    pace.under_way(agrm, 1, 1000.0)
    assert pace.seconds(agrm) == pytest.approx(180.0)


def test_records_of_earlier_runs_are_the_start_and_a_shorter_trial_takes_its_own_epochs(plan_of: PlanOf) -> None:
    agrm, supervised = plan_of(ARMS, "tasks=[two_class]", "seeds=1").trials
    pace = Pace([row(800.0, 80), row(0.0, 0), row(600.0, 60, "supervised")])
    assert pace.seconds(agrm) == pytest.approx(10.0 * 50)
    assert pace.seconds(supervised) == pytest.approx(10.0 * 60)


def test_a_trial_that_reached_its_maximum_does_not_limit_a_longer_one(plan_of: PlanOf) -> None:
    agrm, _ = plan_of(ARMS, "tasks=[two_class]", "seeds=1").trials
    short = row(40.0, 4) | {"stop_reason": "epochs"}
    pace = Pace([short])
    assert (pace.epochs(agrm), pace.seconds(agrm)) == (50, pytest.approx(10.0 * 50))
    pace = Pace([short, row(300.0, 30) | {"stop_reason": "early_stop"}, row(600.0, 60) | {"stop_reason": "early_stop"}])
    assert pace.epochs(agrm) == pytest.approx((50 + 30 + 50) / 3)
