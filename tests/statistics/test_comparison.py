import math

import numpy as np
import pytest
from scipy import stats

from agrm_study.statistics.comparison import (
    Scored,
    compare,
    contrast,
    equivalence_p,
    holm,
    interaction,
    seeds_are_shared,
)
from agrm_study.statistics.influence import of_decisions

RNG = np.random.default_rng(8)
LABELS = np.arange(80) % 2


def arm(skill, seeds=(0, 1, 2, 3, 4), rng=RNG):
    predicted = np.where(rng.random((len(seeds), 80)) < skill, LABELS, 1 - LABELS)
    influence = of_decisions(LABELS, predicted, 2, ["accuracy"])["accuracy"]
    return Scored(seeds=seeds, values_S=(predicted == LABELS).mean(1), influence_SN=influence)


def test_an_arm_compared_with_itself_differs_by_nothing_without_a_claim_of_certainty():
    a = arm(0.8)
    d = compare(a, a, paired=True)
    assert (d.delta, d.p) == (0, 1)
    assert not d.interval.defined


def test_a_paired_difference_is_a_t_test_with_the_two_way_variance_of_the_differences():
    a, b = arm(0.9), arm(0.8)
    d = compare(a, b, paired=True)
    x = (a.influence_SN + a.values_S[:, None]) - (b.influence_SN + b.values_S[:, None])
    s, n = x.shape
    by_seed, by_subject = x.mean(1).var(ddof=1) / s, x.mean(0).var(ddof=1) / n
    rest = ((x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()) ** 2).sum() / ((s - 1) * (n - 1)) / (s * n)
    error = math.sqrt(max(by_seed + max(by_subject - rest, 0), by_subject))
    assert d.delta == pytest.approx(a.values_S.mean() - b.values_S.mean())
    assert d.p == pytest.approx(2 * stats.t.sf(abs(d.delta) / error, d.components.df))
    half = stats.t.ppf(0.975, d.components.df) * error
    assert (d.interval.low, d.interval.high) == pytest.approx((d.delta - half, d.delta + half))


def test_pairing_is_on_the_common_seeds_and_says_how_many():
    a, b = arm(0.9), arm(0.8, seeds=(0, 2, 3, 4))
    d = compare(a, b, paired=True)
    assert (d.n, d.paired) == (4, True)
    assert d.delta == pytest.approx(a.values_S[[0, 2, 3, 4]].mean() - b.values_S.mean())


def test_pairing_follows_the_seeds_not_their_order():
    a = arm(0.9)
    turned = Scored(seeds=a.seeds[::-1], values_S=a.values_S[::-1], influence_SN=a.influence_SN[::-1])
    assert compare(a, turned, paired=True).p == 1


def test_independent_seeds_are_all_kept():
    a, b = arm(0.9), arm(0.8, seeds=(0, 2, 3))
    d = compare(a, b, paired=False)
    assert (d.n, d.paired) == (3, False)
    assert d.delta == pytest.approx(a.values_S.mean() - b.values_S.mean())


def test_arms_without_common_seeds_count_as_independent():
    d = compare(arm(0.9), arm(0.8, seeds=(10, 11, 12)), paired=True)
    assert (d.n, d.paired) == (3, False)
    assert d.interval.defined


def test_one_seed_gives_a_difference_without_interval_and_p():
    d = compare(arm(0.9, seeds=(0,)), arm(0.8, seeds=(0,)), paired=True)
    assert math.isfinite(d.delta)
    assert not d.interval.defined
    assert math.isnan(d.p)
    assert d.components is None


def test_holm_is_the_step_down_rule_by_hand():
    # sorted .01, .02, .04 → 3·.01 = .03, max(.03, 2·.02) = .04, max(.04, .04) = .04
    np.testing.assert_allclose(holm([0.04, 0.01, math.nan, 0.02]), [0.04, 0.03, math.nan, 0.04])
    assert np.isnan(holm([math.nan])).all()


def test_the_interaction_is_zero_when_gains_add_up_and_the_contrast_otherwise():
    full, a, b, both = arm(0.95), arm(0.85), arm(0.8), arm(0.75)
    d = interaction(full, a, b, both, paired=False)
    expected = full.values_S.mean() - a.values_S.mean() - b.values_S.mean() + both.values_S.mean()
    assert d.delta == pytest.approx(expected)
    assert d.interval.low < expected < d.interval.high
    assert contrast([full, full, both, both], [1, -1, -1, 1], paired=True).delta == 0


def test_shared_seeds_are_found_over_all_arms():
    lucky = RNG.normal(0, 0.2, 5)
    shared = [
        Scored(seeds=(0, 1, 2, 3, 4), values_S=0.7 + lucky + RNG.normal(0, 0.01, 5), influence_SN=np.zeros((5, 3)))
        for _ in range(3)
    ]
    assert seeds_are_shared(shared)
    assert not seeds_are_shared(shared[:1])
    apart = [Scored(seeds=(10 * k, 10 * k + 1), values_S=np.ones(2), influence_SN=np.zeros((2, 3))) for k in range(2)]
    assert not seeds_are_shared(apart)


def test_equivalence_is_the_larger_of_two_one_sided_t_tests():
    a, b = arm(0.8), arm(0.8)
    d = compare(a, b, paired=False)
    error, df = math.sqrt(d.components.variance), float(d.components.df)
    lower = stats.t.sf((d.delta + 0.2) / error, df)
    upper = stats.t.sf((0.2 - d.delta) / error, df)
    assert equivalence_p(d.delta, d.components, 0.2) == pytest.approx(max(lower, upper))
    assert equivalence_p(d.delta, d.components, abs(d.delta)) > 0.4
