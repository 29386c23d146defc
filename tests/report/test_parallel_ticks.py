"""Ticks of parallel coordinates are round values within the axis, on its scale."""

import numpy as np
import pytest

from agrm_study.report.figures.parallel_coordinates import MOST_TICKS, axis_of, ticks_of


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (4, 60, [5, 10, 20, 50]),
        (3.08e-5, 8.47e-4, [5e-5, 1e-4, 2e-4, 5e-4]),
        (1e-6, 0.5, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]),
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (-3, 7, [-2.5, 0, 2.5, 5]),
        (0.001, 0.999, [0.001, 0.01, 0.1, 0.9, 0.99, 0.999]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round_on_linear_logarithmic_and_logit_axes(low, high, expected):
    np.testing.assert_allclose(ticks_of(low, high), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_ticks_lie_within_the_values_and_are_few(seed):
    rng = np.random.default_rng(seed)
    low, high = np.sort(1 - 10 ** rng.uniform(-4, -0.05, 2))
    found = ticks_of(low, high)
    assert 2 <= found.size <= MOST_TICKS
    assert found.min() >= low - 1e-9
    assert found.max() <= high + 1e-9


def test_labels_of_an_axis_are_its_ticks_as_short_numbers():
    axis = axis_of("alpha", 1 - 10 ** np.linspace(-4, -1, 30), None)
    assert axis.labels == ("0.9", "0.99", "0.999", "0.9999")
    np.testing.assert_allclose(axis.ticks, [0, 1 / 3, 2 / 3, 1], atol=0.02)  # nearly equal steps on the logit scale
