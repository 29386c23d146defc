"""A validation score belongs to the evaluated network, epoch by epoch."""

from __future__ import annotations

import math

import pytest

from agrm_study.records.validation_scores import best_so_far, validation_curve

ROWS = [
    {"epoch": 1, "split": "val", "network": "student", "macro_f1": 0.5, "loss": 1.0},
    {"epoch": 2, "split": "train", "network": "student", "macro_f1": 0.99, "loss": 0.1},
    {"epoch": 2, "split": "val", "network": "teacher", "macro_f1": 0.1, "loss": 2.0},
    {"epoch": 2, "split": "val", "network": "student", "macro_f1": 0.9, "loss": 0.3},
    {"epoch": 3, "split": "val", "network": "student", "macro_f1": 0.8, "loss": 0.4},
    {"epoch": 3, "split": "val", "network": "teacher", "macro_f1": math.nan, "loss": math.inf},
]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("network", "metric", "curve"),
    [
        ("student", "macro_f1", {1: 0.5, 2: 0.9, 3: 0.8}),
        ("teacher", "macro_f1", {1: 0.5, 2: 0.1}),  # undefined in epoch 3: the student does not stand in for it
        ("teacher", "val/macro_f1", {1: 0.5, 2: 0.1}),
        ("teacher", "loss", {1: 1.0, 2: 2.0}),
        ("student", "val/loss", {1: 1.0, 2: 0.3, 3: 0.4}),
        ("student", "auroc", {}),
    ],
)
def test_the_judged_network_counts_and_before_there_is_a_teacher_the_student(
    network: str, metric: str, curve: dict[int, float], order: int
) -> None:
    assert validation_curve(ROWS[::order], network, metric) == curve


def test_the_best_so_far_follows_the_direction() -> None:
    curve = {3: 0.4, 1: 0.5, 2: 0.9}
    assert best_so_far(curve, maximize=True) == {1: 0.5, 2: 0.9, 3: 0.9}
    assert best_so_far(curve, maximize=False) == {1: 0.5, 2: 0.5, 3: 0.4}
