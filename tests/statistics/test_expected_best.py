"""The expected best of k draws agrees with closed forms and with simulation."""

from __future__ import annotations

import numpy as np
import pytest

from agrm_study.statistics.expected_best import expected_best


def test_of_the_numbers_1_to_n_it_is_the_closed_form_of_a_dies_maximum() -> None:
    n = 6
    mean, std = expected_best(np.arange(1, n + 1))
    for k in range(1, n + 1):
        expected = n - sum((j / n) ** k for j in range(1, n))  # E[max] = Σ P(max > j)
        square = sum((2 * j + 1) * (1 - (j / n) ** k) for j in range(n))  # E[max²] = Σ (2j + 1) P(max > j)
        assert mean[k - 1] == pytest.approx(expected)
        assert std[k - 1] == pytest.approx(np.sqrt(square - expected**2))


def test_one_draw_has_the_mean_and_standard_deviation_of_the_values() -> None:
    values = np.array([0.3, 0.9, 0.5, 0.5])
    mean, std = expected_best(values)
    assert (mean[0], std[0]) == pytest.approx((values.mean(), values.std()))


def test_of_losses_it_is_the_expected_minimum() -> None:
    values = np.random.default_rng(3).normal(size=9)
    mean, std = expected_best(values, maximize=False)
    mirrored, spread = expected_best(-values)
    assert mean == pytest.approx(-mirrored)
    assert std == pytest.approx(spread)


def test_it_agrees_with_drawing_with_replacement() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=12)
    mean, std = expected_best(values)
    best = rng.choice(values, size=(200_000, 5)).max(axis=1)
    assert mean[4] == pytest.approx(best.mean(), abs=4 * best.std() / np.sqrt(200_000))
    assert std[4] == pytest.approx(best.std(), rel=0.01)


@pytest.mark.parametrize("values", [[], [0.5, np.nan]])
def test_nothing_and_undefined_scores_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        expected_best(values)
