"""A trial that runs out of GPU memory is retried with a larger share, only as often as that can help."""

from __future__ import annotations

from fractions import Fraction

import pytest

from agrm_study.execution.driver.gpu_growth import GpuGrowth, larger_share
from agrm_study.execution.trial.events import TrialEvent


def failed(failure: str = "oom_gpu") -> TrialEvent:
    return TrialEvent(kind="failed", trial_id="a", failure=failure, error="CUDA out of memory", epoch=1)


def test_a_larger_share_is_at_least_twice_as_much_and_again_one_kth() -> None:
    steps = {4: 2, 3: 1, 2: 1, 5: 2, 16: 8, 7: 3}
    for k, larger in steps.items():
        assert Fraction(larger_share(1 / k)).limit_denominator(100) == Fraction(1, larger)


def test_a_quarter_becomes_a_half_and_then_a_whole_gpu() -> None:
    growth = GpuGrowth(0.25)
    shares = []
    for _ in range(2):
        told = growth.answer(failed(), stopped=False)
        assert (told.kind, told.failure) == ("retried", "oom_gpu")
        assert growth.pending
        assert growth.next() == "a"
        shares.append(growth.share("a"))
    assert shares == [0.5, 1.0]
    assert "1/2 of a GPU was not enough, retried on a whole GPU" in (told.error or "")
    assert growth.share("b") == 0.25
    last = growth.answer(failed(), stopped=False)
    assert last.kind == "failed"
    assert last.error == "a whole GPU was not enough: CUDA out of memory"
    assert not growth.pending


@pytest.mark.parametrize("failure", ["bug", "oom_host", "nan_loss"])
def test_other_failures_do_not_grow(failure: str) -> None:
    growth = GpuGrowth(0.25)
    assert growth.answer(failed(failure), stopped=False) == failed(failure)
    assert not growth.pending


def test_nothing_comes_again_once_the_run_stops() -> None:
    growth = GpuGrowth(0.25)
    assert growth.answer(failed(), stopped=True) == failed()
    growth.answer(failed(), stopped=False)
    growth.stop()
    assert growth.next() is None
    assert not growth.needs_room


def test_room_is_kept_until_the_larger_trial_has_started() -> None:
    growth = GpuGrowth(0.5)
    growth.answer(failed(), stopped=False)
    assert growth.needs_room
    growth.next()
    assert growth.needs_room
    growth.started("a")
    assert not growth.needs_room
