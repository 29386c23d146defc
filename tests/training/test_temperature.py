"""Temperature scaling against a grid search and a case with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from agrm_study.training.temperature import BOUNDS, fit_temperature, subject_log_probs


def test_a_subjects_probability_is_the_mean_over_its_windows():
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    owners = np.array([0, 1, 1, 0, 2, 1])
    wanted = [softmax(logits[owners == owner].astype(float), axis=1).mean(axis=0) for owner in range(3)]
    np.testing.assert_allclose(np.exp(subject_log_probs(logits, owners, 3)), wanted, rtol=1e-6)


def test_probabilities_too_small_for_a_float_keep_their_logarithm():
    log_probs = subject_log_probs(np.array([[0.0, 2000.0]]), np.array([0]), 1)
    np.testing.assert_allclose(log_probs, [[-2000.0, 0.0]])


def test_logits_that_were_scaled_give_their_scale_back():
    """Labels drawn from softmax(z); of 3z the best temperature is 3 (to sampling error)."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20_000, 3)) * 2
    labels = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    owners = np.arange(len(labels))
    # One subject a window: the mean over windows is the window itself.
    few = slice(0, 4000)
    assert fit_temperature(3 * logits[few], owners[few], labels[few]) == pytest.approx(3.0, rel=0.06)


def test_the_temperature_is_the_minimum_of_a_grid():
    rng = np.random.default_rng(2)
    logits, owners = rng.normal(size=(40, 3)) * 4, np.repeat(np.arange(20), 2)
    labels = rng.integers(0, 3, 20)

    def loss(temperature: float) -> float:
        return -subject_log_probs(logits, owners, 20, temperature)[np.arange(20), labels].mean()

    grid = np.geomspace(*BOUNDS, 2000)
    best = grid[np.argmin([loss(temperature) for temperature in grid])]
    found = fit_temperature(logits, owners, labels)
    assert found == pytest.approx(best, rel=0.01) if BOUNDS[0] < best < BOUNDS[1] else found is None


@pytest.mark.parametrize("margin", [40, 400, 4000])
def test_certain_and_correct_logits_identify_no_temperature(margin):
    """exp(-margin / T) is 0 in double precision up to some T, so the loss is 0 over a whole range."""
    labels = np.arange(12) % 2
    assert fit_temperature((margin * np.eye(2)[labels]).astype(np.float32), np.arange(12), labels) is None
