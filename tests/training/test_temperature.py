"""Probabilities of subjects, aggregated over their windows."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from agrm_study.training.temperature import subject_log_probs


def test_a_subjects_probability_is_the_mean_over_its_windows():
    logits = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    owners = np.array([0, 1, 1, 0, 2, 1])
    wanted = [softmax(logits[owners == owner].astype(float), axis=1).mean(axis=0) for owner in range(3)]
    np.testing.assert_allclose(np.exp(subject_log_probs(logits, owners, 3)), wanted, rtol=1e-6)


def test_probabilities_too_small_for_a_float_keep_their_logarithm():
    log_probs = subject_log_probs(np.array([[0.0, 2000.0]]), np.array([0]), 1)
    np.testing.assert_allclose(log_probs, [[-2000.0, 0.0]])
