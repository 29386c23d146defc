"""A step is built and measured for every method, without data and without the API of a GPU."""

import pytest
from small_recipe import small_recipe

from agrm_study.training.ssl.step import METHODS
from agrm_study.training.step_memory import Gauge, step_bytes


class FakeGauge(Gauge):
    """The memory of a GPU that is not there."""

    def __init__(self, peak: int, outside: int, total: int) -> None:
        self.begun, self._peak, self._outside, self._total = 0, peak, outside, total

    def begin(self) -> None:
        self.begun += 1

    def peak(self) -> int:
        assert self.begun
        return self._peak

    def outside(self) -> int:
        return self._outside

    def total(self) -> int:
        return self._total


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["two_class", "three_class"])
def test_a_step_of_every_method_is_made_and_what_is_outside_torch_counts(method, task):
    gauge = FakeGauge(peak=7_000, outside=500, total=16_000)
    assert step_bytes(small_recipe(ssl={"method": method}, task=task), "cpu", gauge) == 7_500
    assert gauge.begun == 1


def test_measuring_leaves_the_callers_generators_as_they_were():
    import torch

    torch.manual_seed(3)
    first = torch.rand(1)
    torch.manual_seed(3)
    step_bytes(small_recipe(), "cpu", FakeGauge(1, 1, 10))
    assert torch.equal(torch.rand(1), first)
