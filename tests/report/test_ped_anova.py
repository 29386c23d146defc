"""PED-ANOVA identifies the setting that determines which trials are best."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agrm_study.report.figures.ped_anova import best_share, ped_anova


def test_the_setting_that_decides_takes_nearly_all_of_the_importance() -> None:
    rng = np.random.default_rng(0)
    factors = pd.DataFrame(
        {"decides": rng.uniform(0, 1, 200), "noise": rng.uniform(0, 1, 200), "name": rng.choice(["a", "b"], 200)}
    )
    scores = -((factors["decides"] - 0.3).abs()).to_numpy()
    shares = ped_anova(factors, scores, maximize=True)
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["decides"] > 0.9
    assert ped_anova(factors, -scores, maximize=False) == shares
    worst = ped_anova(factors, scores, maximize=False)  # far from 0.3, at the other end
    assert worst is not None
    assert worst["decides"] > 0.9


def test_it_is_about_the_best_trials_and_not_about_the_metric_as_a_whole() -> None:
    rng = np.random.default_rng(1)
    coarse, fine = rng.uniform(0, 1, 400), rng.uniform(0, 1, 400)
    scores = np.where(coarse > 0.5, 1.0, 0.0) + np.where(coarse > 0.5, 0.1 * fine, 0.0)
    shares = ped_anova(pd.DataFrame({"coarse": coarse, "fine": fine}), scores, maximize=True)
    assert shares is not None
    assert shares["fine"] > shares["coarse"]  # among the best tenth, coarse has done its part in half of all trials


def test_a_setting_may_be_inactive_in_some_trials() -> None:
    rng = np.random.default_rng(2)
    policy = rng.choice(["fixed", "flexmatch"], 80)
    tau = np.where(policy == "fixed", rng.uniform(0.5, 0.9, 80), np.nan)
    frame = pd.DataFrame({"policy": policy, "tau": tau, "lr": 10 ** rng.uniform(-5, -2, 80)})
    shares = ped_anova(frame, (policy == "fixed") + 0.01 * rng.uniform(size=80), maximize=True)
    assert shares is not None
    assert set(shares) == {"policy", "tau", "lr"}


@pytest.mark.parametrize(("trials", "best"), [(8, 4), (20, 5), (50, 5), (200, 20)])
def test_a_tenth_of_the_trials_are_the_best_and_at_least_five_where_there_are_ten(trials: int, best: int) -> None:
    assert best_share(trials) * trials == pytest.approx(best)
