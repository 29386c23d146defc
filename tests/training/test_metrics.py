"""The metrics of an epoch equal scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from agrm_study.training.metrics import classification_metrics, decide


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_metrics_equal_scikit_learn(n_classes):
    rng = np.random.default_rng(n_classes)
    for _ in range(20):
        labels, decided = rng.integers(0, n_classes, 40), rng.integers(0, n_classes, 40)
        mine = classification_metrics(labels, decided, n_classes)
        macro = f1_score(labels, decided, average="macro", labels=range(n_classes), zero_division=0)
        assert mine["accuracy"] == pytest.approx(accuracy_score(labels, decided), abs=1e-12)
        assert mine["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, decided), abs=1e-12)
        assert mine["macro_f1"] == pytest.approx(macro, abs=1e-12)


def test_a_class_that_is_absent_counts_in_macro_f1_and_not_in_balanced_accuracy():
    mine = classification_metrics(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), 3)
    assert mine == {"accuracy": 1.0, "balanced_accuracy": 1.0, "macro_f1": pytest.approx(2 / 3)}


def test_abnormal_is_decided_at_exactly_one_half():
    probs = np.array([[0.5, 0.5], [0.5 + 1e-9, 0.5 - 1e-9], [0.4, 0.6]])
    assert decide(probs).tolist() == [1, 0, 1]


def test_three_classes_are_decided_by_the_largest_probability():
    assert decide(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])).tolist() == [1, 0]
