import math

import pytest

from agrm_study.study.ssl_settings import Ramp
from agrm_study.training.ssl.ramp import ramp_weight


def test_the_papers_ramp_rises_linearly_from_0_to_1_over_30_epochs() -> None:
    weights = [ramp_weight(Ramp(), epoch) for epoch in range(33)]
    assert weights == pytest.approx([min(epoch / 30, 1.0) for epoch in range(33)], abs=0)
    assert weights[0] == 0.0
    assert weights[30] == weights[32] == 1.0


def test_the_sigmoid_ramp_has_the_published_values() -> None:
    ramp = Ramp(shape="sigmoid", epochs=10, maximum=2.0)
    assert ramp_weight(ramp, 0) == pytest.approx(2 * math.exp(-5))
    assert ramp_weight(ramp, 5) == pytest.approx(2 * math.exp(-1.25))
    assert ramp_weight(ramp, 10) == 2.0


def test_the_step_is_zero_until_its_epoch() -> None:
    assert [ramp_weight(Ramp(shape="step", epochs=2), epoch) for epoch in range(4)] == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize("shape", ["linear", "sigmoid", "step"])
def test_every_ramp_never_falls_and_ends_at_its_maximum(shape: str) -> None:
    weights = [ramp_weight(Ramp(shape=shape, epochs=7, maximum=0.3), epoch) for epoch in range(10)]
    assert weights == sorted(weights)
    assert weights[7:] == [0.3] * 3
    assert ramp_weight(Ramp(shape=shape, epochs=0, maximum=0.3), 0) == 0.3


def test_a_negative_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1"):
        ramp_weight(Ramp(), -1)
