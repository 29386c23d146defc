"""The two-way variance against manually computed mean squares, closed forms, scipy and statsmodels."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from agrm_study.statistics.two_way import (
    MOST_DF,
    bounded_interval,
    combined,
    components,
    difference_interval,
    of_one_network,
    seeds_move_together,
    subject_variance,
    t_test,
)

RNG = np.random.default_rng(11)


def table(seeds, subjects, *, seed_sd=0.3, subject_sd=1.0, rest_sd=0.5, rng=RNG):
    return (
        0.5
        + rng.normal(0, seed_sd, (seeds, 1))
        + rng.normal(0, subject_sd, (1, subjects))
        + rng.normal(0, rest_sd, (seeds, subjects))
    )


def of(x):
    return components(x.mean(1), x - x.mean(1, keepdims=True))


def mean_squares(x):
    frame = pd.DataFrame(
        {
            "x": x.ravel(),
            "seed": np.repeat(np.arange(x.shape[0]), x.shape[1]),
            "person": np.tile(np.arange(x.shape[1]), x.shape[0]),
        }
    )
    found = anova_lm(ols("x ~ C(seed) + C(person)", frame).fit())
    return (found["sum_sq"] / found["df"]).to_numpy()


def test_components_are_the_mean_squares_of_statsmodels_over_the_number_of_values():
    x = table(4, 12)
    seed, person, rest = mean_squares(x)
    c = of(x)
    assert [float(v) for v in (c.seeds, c.subjects, c.interaction)] == pytest.approx(
        [v / x.size for v in (seed, person, rest)]
    )
    assert float(c.variance) == pytest.approx(max(seed + max(person - rest, 0), person) / x.size)


def test_the_variance_is_unbiased_where_the_floors_do_not_bind():
    found = [float(of(table(5, 40)).variance) for _ in range(3000)]
    # seeds .3²/5 + subjects 1²/40 + interaction .5²/200
    assert np.mean(found) == pytest.approx(0.09 / 5 + 1 / 40 + 0.25 / 200, rel=0.03)


def test_shares_sum_to_one_and_find_the_source():
    c = of(table(30, 30, seed_sd=2.0, subject_sd=0.1))
    assert sum(float(s) for s in c.shares) == pytest.approx(1)
    assert float(c.shares[0]) > 0.95


def test_degrees_of_freedom_are_satterthwaites_and_capped():
    x = table(5, 60, seed_sd=1.5, subject_sd=0.5)
    c = of(x)
    expected = float(c.variance) ** 2 / (float(c.seeds) ** 2 / 4 + float(c.subjects) ** 2 / float(c.subject_df))
    assert float(c.df) == pytest.approx(min(max(expected, 1), MOST_DF * 4))
    assert float(of(table(3, 200, seed_sd=0.0)).df) == MOST_DF * 2


def test_few_influential_subjects_give_few_degrees_of_freedom():
    # Three ones among zeros: V ∝ Σ(x − x̄)², Var(V) ∝ Σ(x − x̄)⁴ − (Σ(x − x̄)²)²/N by hand.
    x = np.array([1.0] * 3 + [0.0] * 97)
    d = x - x.mean()
    _, df = subject_variance(x)
    assert float(df) == pytest.approx(2 * (d**2).sum() ** 2 / ((d**4).sum() - (d**2).sum() ** 2 / 100))
    assert float(df) < 8
    normal = RNG.normal(size=4000)
    assert float(subject_variance(normal)[1]) == pytest.approx(3999, rel=0.1)


def test_a_paired_contrast_is_the_components_of_the_differences():
    a, b = table(5, 20), table(5, 20)
    got = combined(
        [(1.0, a.mean(1), a - a.mean(1, keepdims=True)), (-1.0, b.mean(1), b - b.mean(1, keepdims=True))], paired=True
    )
    assert float(got.variance) == pytest.approx(float(of(a - b).variance))
    assert float(got.df) == pytest.approx(float(of(a - b).df))


def test_independent_seeds_add_their_variances_with_welchs_degrees_of_freedom():
    a, b = table(5, 20), table(4, 20)
    got = combined(
        [(1.0, a.mean(1), a - a.mean(1, keepdims=True)), (-1.0, b.mean(1), b - b.mean(1, keepdims=True))], paired=False
    )
    u, v = a.mean(1).var(ddof=1) / 5, b.mean(1).var(ddof=1) / 4
    assert float(got.seeds) == pytest.approx(u + v)
    assert float(got.seed_df) == pytest.approx((u + v) ** 2 / (u**2 / 4 + v**2 / 3))
    by_subject = a.mean(0) - b.mean(0)
    assert float(got.subjects) == pytest.approx(by_subject.var(ddof=1) / 20)


def test_without_any_variance_over_subjects_the_test_is_students_over_seeds():
    values = RNG.random(6)
    c = components(values, np.zeros((6, 10)))
    _t, p = stats.ttest_1samp(values, 0)
    assert float(t_test(values.mean(), c)) == pytest.approx(p)
    low, high = difference_interval(values.mean(), c)
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 5, values.mean(), stats.sem(values)))


@pytest.mark.parametrize("values", [[0.90, 0.94, 0.98], [0.2, 0.5, 0.4, 0.45], [0.001, 0.02, 0.03], [0.97, 1.0, 1.0]])
def test_the_ends_of_an_interval_are_where_the_half_width_reaches_the_mean(values):
    values = np.array(values)
    x, t = values.mean(), stats.t.ppf(0.975, len(values) - 1)
    error = values.std(ddof=1) / np.sqrt(len(values))

    def beyond(end):
        return abs(x - end) - t * error * (end * (1 - end) / (x * (1 - x))) ** 0.75

    expected = [optimize.brentq(beyond, 1e-15, x), optimize.brentq(beyond, x, 1 - 1e-15)]
    np.testing.assert_allclose(
        bounded_interval(x, components(values, np.zeros((len(values), 10)))), expected, rtol=1e-9
    )
    wide = components(4 * values - 2, np.zeros((len(values), 10)))
    got = bounded_interval(4 * x - 2, wide, low=-2, high=2)
    np.testing.assert_allclose(got, [4 * e - 2 for e in expected], rtol=1e-9)


def test_intervals_of_a_mean_and_of_its_complement_mirror_each_other():
    values = np.array([0.7, 0.9, 0.95])
    low, high = bounded_interval(values.mean(), components(values, np.zeros((3, 10))))
    mirrored = bounded_interval((1 - values).mean(), components(1 - values, np.zeros((3, 10))))
    assert (1 - high, 1 - low) == pytest.approx(tuple(mirrored))


def test_perfect_scores_have_no_interval_rather_than_a_certain_one():
    c = components(np.ones(5), np.zeros((5, 20)))
    assert np.isnan(bounded_interval(1.0, c)).all()
    assert np.isnan(difference_interval(0.0, c)).all()
    assert float(t_test(0.0, c)) == 1.0
    assert np.isnan(t_test(0.1, c))


def test_one_seed_has_no_components_and_one_network_those_of_its_subjects():
    x = RNG.random(30)
    assert components([0.5], x[None]) is None
    c = of_one_network(x)
    assert float(c.variance) == pytest.approx(x.var(ddof=1) / 30)


def test_fewer_than_ten_subjects_have_no_components():
    x = table(4, 9)
    assert of(x) is None
    assert of_one_network(x[0]) is None
    assert combined([(1.0, x.mean(1), x), (-1.0, x.mean(1), x)], paired=False) is None
    assert of(table(4, 10)) is not None


def test_projections_divide_each_source_by_its_own_number():
    c = of(table(6, 50, seed_sd=1.0))
    more = c.projected(seeds=4, subjects=2)
    seeds, subjects, both = (float(x) for x in (c.seeds, c.subjects, c.interaction))
    assert float(more.variance) == pytest.approx(
        max((seeds - both) / 4 + max(subjects - both, 0) / 2 + both / 8, float(more.subjects))
    )
    assert float(more.seed_df) == pytest.approx(23)
    assert float(more.half_width()) < float(c.half_width())


def test_a_common_seed_effect_is_found_by_the_f_test_of_statsmodels():
    def p_of(x):
        frame = pd.DataFrame(
            {
                "x": x.ravel(),
                "arm": np.repeat(np.arange(x.shape[0]), x.shape[1]),
                "seed": np.tile(np.arange(x.shape[1]), x.shape[0]),
            }
        )
        return anova_lm(ols("x ~ C(arm) + C(seed)", frame).fit())["PR(>F)"].iloc[1]

    for strength in (0.0, 0.5, 1.0, 3.0):
        x = RNG.normal(size=(4, 5)) + strength * RNG.normal(size=5)
        assert bool(seeds_move_together(x)) == (p_of(x) < 0.02)
    assert not seeds_move_together([[0.8, 0.9, 0.7]])
    assert not seeds_move_together([[0.8, 0.9], [0.7, 0.8]])
    assert seeds_move_together([[0.8, 0.9, 0.7], [0.7, 0.8, 0.6]])
