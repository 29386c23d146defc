import math

import numpy as np
import pytest
from scipy import stats

from agrm_study.statistics.bootstrap import Draws, average_seeds, replicate
from agrm_study.statistics.comparison import Replicated, compare, contrast, daggers, holm, interaction, welch_p

RNG = np.random.default_rng(8)
LABELS = np.arange(80) % 2
DRAWS = Draws(80, replicates=4000, seed=3)


def arm(skill, seeds=(0, 1, 2, 3, 4), rng=RNG):
    predicted = np.where(rng.random((len(seeds), 80)) < skill, LABELS, 1 - LABELS)
    values = (predicted == LABELS).mean(1)
    return Replicated(
        seeds=seeds, values_S=values, replicates_BS=replicate(LABELS, predicted, 2, DRAWS, ["accuracy"])["accuracy"]
    )


def test_an_arm_compared_with_itself_differs_by_exactly_nothing():
    a = arm(0.8)
    d = compare(a, a, DRAWS)
    assert d.delta == 0
    assert (d.interval.low, d.interval.high, d.p) == (0, 0, 1)


def test_the_difference_of_paired_arms_uses_one_draw_of_subjects_and_seeds():
    a, b = arm(0.9), arm(0.8)
    d = compare(a, b, DRAWS)
    difference = Replicated(
        seeds=a.seeds, values_S=a.values_S - b.values_S, replicates_BS=a.replicates_BS - b.replicates_BS
    )
    values = average_seeds(difference.replicates_BS, DRAWS.seeds(5))
    assert d.delta == pytest.approx(difference.values_S.mean())
    assert (d.interval.low, d.interval.high) == pytest.approx(np.quantile(values, [0.025, 0.975]))
    assert d.paired


def test_pairing_is_on_the_common_seeds_and_says_how_many():
    a, b = arm(0.9), arm(0.8, seeds=(0, 2, 3, 4))
    d = compare(a, b, DRAWS)
    assert (d.n, d.paired) == (4, True)
    assert d.delta == pytest.approx(a.values_S[[0, 2, 3, 4]].mean() - b.values_S.mean())


def test_arms_without_common_seeds_are_drawn_independently():
    d = compare(arm(0.9), arm(0.8, seeds=(10, 11, 12)), DRAWS)
    assert (d.n, d.paired) == (3, False)
    assert d.interval.defined


def test_without_a_bootstrap_delta_stands_and_interval_and_p_are_undefined():
    a, b = arm(0.9), arm(0.8)
    d = compare(a, b, None)
    assert d.delta == pytest.approx(a.values_S.mean() - b.values_S.mean())
    assert not d.interval.defined
    assert math.isnan(d.p)


def test_welch_is_scipys_and_undefined_without_spread():
    a, b = RNG.random(5), RNG.random(4)
    t = (a.mean() - b.mean()) / math.sqrt(a.var(ddof=1) / 5 + b.var(ddof=1) / 4)
    df = (a.var(ddof=1) / 5 + b.var(ddof=1) / 4) ** 2 / (a.var(ddof=1) ** 2 / 100 + b.var(ddof=1) ** 2 / 48)
    assert welch_p(a, b) == pytest.approx(2 * stats.t.sf(abs(t), df))
    assert math.isnan(welch_p([0.9, 0.9], [0.8, 0.8]))
    assert math.isnan(welch_p([0.9], [0.8, 0.7]))


def test_holm_is_the_step_down_rule_by_hand():
    # sorted .01, .02, .04 → 3·.01 = .03, max(.03, 2·.02) = .04, max(.04, .04) = .04
    np.testing.assert_allclose(holm([0.04, 0.01, math.nan, 0.02]), [0.04, 0.03, math.nan, 0.04])
    assert np.isnan(holm([math.nan])).all()


def test_a_dagger_needs_both_tests():
    assert daggers([0.01, 0.01, 0.2, 0.01], [0.01, 0.2, 0.01, math.nan]).tolist() == [True, False, False, False]


def test_the_interaction_is_zero_when_gains_add_up_and_the_contrast_otherwise():
    full, a, b, both = arm(0.95), arm(0.85), arm(0.8), arm(0.75)
    d = interaction(full, a, b, both, DRAWS)
    expected = full.values_S.mean() - a.values_S.mean() - b.values_S.mean() + both.values_S.mean()
    assert d.delta == pytest.approx(expected)
    assert d.interval.low < expected < d.interval.high
    additive = contrast([full, full, both, both], [1, -1, -1, 1], DRAWS)
    assert (additive.delta, additive.interval.low, additive.interval.high) == (0, 0, 0)
