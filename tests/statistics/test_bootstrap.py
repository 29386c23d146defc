import tracemalloc

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from agrm_study.statistics.bootstrap import (
    Draws,
    average_seeds,
    p_value,
    percentile_interval,
    replicate,
    replicate_ranking,
    undefined,
)

RNG = np.random.default_rng(5)
LABELS = np.arange(60) % 3
PREDICTED = np.where(RNG.random((5, 60)) < 0.7, LABELS, RNG.integers(0, 3, (5, 60)))


def all_weights(draws):
    return np.concatenate([w for _, w in draws.subjects()])


def test_draws_are_a_function_of_their_arguments():
    draws = Draws(60, replicates=700, seed=4)
    np.testing.assert_array_equal(all_weights(draws), all_weights(Draws(60, replicates=700, seed=4)))
    assert not np.array_equal(all_weights(draws), all_weights(Draws(60, replicates=700, seed=5)))
    np.testing.assert_array_equal(all_weights(draws), all_weights(Draws(60, replicates=1200, seed=4))[:700])


def test_weights_are_multinomial_counts():
    weights = all_weights(Draws(20, replicates=20_000))
    assert (weights.sum(axis=1) == 20).all()
    # A multinomial count with n = 20, p = 1/20 has mean 1 and variance 0.95; two counts have covariance −1/20.
    assert weights.mean() == 1
    assert weights.var(axis=0).mean() == pytest.approx(0.95, abs=0.02)
    assert np.cov(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-0.05, abs=0.02)
    seeds = Draws(20, replicates=20_000).seeds(5)
    np.testing.assert_allclose(seeds.sum(axis=1), 1)
    assert (seeds * 5).var(axis=0).mean() == pytest.approx(0.8, abs=0.02)


def test_replicates_are_scikit_learn_with_the_drawn_subjects_repeated():
    draws = Draws(60, replicates=12, seed=1)
    weights = all_weights(draws).astype(int)
    got = replicate(LABELS, PREDICTED, 3, draws, ["accuracy", "macro_f1"])
    for b in range(12):
        chosen = np.repeat(np.arange(60), weights[b])
        for s in range(5):
            expected = sk.f1_score(LABELS[chosen], PREDICTED[s, chosen], average="macro")
            assert got["macro_f1"][b, s] == pytest.approx(expected)
            expected = sk.accuracy_score(LABELS[chosen], PREDICTED[s, chosen])
            assert got["accuracy"][b, s] == pytest.approx(expected)


def test_the_interval_of_accuracy_matches_the_two_way_variance_in_closed_form():
    # Accuracy is a mean over an S×N table of hits x: the bootstrap's variance has a closed form (independent rows and
    # columns drawn with replacement): var = v_s/S + v_n/N + v_sn/(S·N) with the plug-in components.
    hits = PREDICTED == LABELS
    s, n = hits.shape
    by_seed, by_subject = hits.mean(1).var(), hits.mean(0).var()
    rest = (hits - hits.mean(1, keepdims=True) - hits.mean(0) + hits.mean()).var()
    expected = by_seed / s + by_subject / n + rest / (s * n)
    draws = Draws(60, replicates=40_000, seed=2)
    values = average_seeds(replicate(LABELS, PREDICTED, 3, draws, ["accuracy"])["accuracy"], draws.seeds(5))
    assert values.var() == pytest.approx(expected, rel=0.03)
    interval = percentile_interval(values)
    half = stats.norm.ppf(0.975) * np.sqrt(expected)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.05)


def test_undefined_replicates_are_counted_and_left_out():
    labels = np.array([0] * 19 + [1])
    draws = Draws(20, replicates=5000)
    values = average_seeds(
        replicate(labels, labels[None].repeat(2, 0), 2, draws, ["macro_f1"])["macro_f1"], draws.seeds(2)
    )
    # The only subject of class 1 is missing from a draw with probability (19/20)^20.
    assert undefined(values) / 5000 == pytest.approx(0.95**20, abs=0.02)
    assert percentile_interval(values).low == 1.0


def test_a_seed_that_is_not_drawn_does_not_make_a_replicate_undefined():
    per_seed = np.array([[0.5, np.nan], [0.5, np.nan]])
    weights = np.array([[1.0, 0.0], [0.5, 0.5]])
    got = average_seeds(per_seed, weights)
    assert got[0] == 0.5
    assert np.isnan(got[1])


def test_ranking_replicates_are_scikit_learn_with_weights():
    positive = LABELS == 1
    scores = np.round(RNG.random((3, 60)), 1)
    draws = Draws(60, replicates=8)
    weights = all_weights(draws)
    got = replicate_ranking(positive, scores, draws, ["average_precision", "roc_auc"])
    for b in range(8):
        for s in range(3):
            expected = sk.average_precision_score(positive, scores[s], sample_weight=weights[b])
            assert got["average_precision"][b, s] == pytest.approx(expected)
            expected = sk.roc_auc_score(positive, scores[s], sample_weight=weights[b])
            assert got["roc_auc"][b, s] == pytest.approx(expected)


def test_p_value_counts_the_observed_data_and_never_is_zero():
    assert p_value(np.full(9999, 0.1)) == pytest.approx(2 / 10_000)
    assert p_value([-1.0, 1.0, 2.0, 3.0]) == pytest.approx(2 * 2 / 5)
    assert p_value(np.zeros(100)) == 1.0
    assert np.isnan(p_value([np.nan]))


def test_memory_stays_small_at_ten_thousand_replicates():
    labels = np.arange(860) % 3
    predicted = np.tile(labels, (5, 1))
    draws = Draws(860)
    tracemalloc.start()
    replicate(labels, predicted, 3, draws, ["macro_f1"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
