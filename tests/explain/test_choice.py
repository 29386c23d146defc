"""The explained clips are those that the selection rule specifies."""

import numpy as np

from agrm_study.explain.choice import choose

LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, -1])
DECIDED = np.array([0, 0, 0, 1, 1, 1, 1, 1, 0])
CONFIDENCE = np.array([0.6, 0.9, 0.7, 0.8, 0.95, 0.7, 0.5, 0.6, 1.0])


def chosen(per_class):
    return [(each.subject, each.reason) for each in choose(LABELS, DECIDED, CONFIDENCE, per_class)]


def test_three_a_class_are_the_surest_the_median_and_the_surest_mistake():
    assert chosen(3) == [
        (1, "most confident correct"),
        (2, "median correct"),
        (4, "most confident mistake"),
        (5, "most confident correct"),
        (7, "median correct"),
    ]


def test_one_a_class_is_the_median():
    assert chosen(1) == [(2, "median correct"), (7, "median correct")]


def test_two_a_class_show_a_failure_too():
    assert chosen(2)[:2] == [(2, "median correct"), (4, "most confident mistake")]


def test_six_a_class_show_every_degree_of_confidence_once():
    assert [subject for subject, _ in chosen(6)] == [1, 2, 0, 4, 3, 5, 7, 6]


def test_a_class_that_is_never_right_shows_mistakes_only():
    found = choose(np.zeros(4, int), np.ones(4, int), np.array([0.5, 0.9, 0.8, 0.7]), 3)
    assert [(each.subject, each.reason) for each in found] == [(1, "most confident mistake")]
