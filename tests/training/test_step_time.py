"""The steps of a recipe are timed the required number of times and scaled to its batch."""

import itertools

import pytest
from small_recipe import small_recipe

from agrm_study.training.models.build import build_model
from agrm_study.training.step_time import BUDGET_S, STEPS, step_time


def clock_of(tick):
    """A clock that goes on by so many seconds whenever it is read."""
    readings = itertools.count()
    return lambda: tick * next(readings)


def test_each_kind_of_step_is_timed_after_one_that_warms_up():
    found = step_time(small_recipe(), "cpu", clock=clock_of(1.0))
    assert found.supervised == found.full == (1.0,) * STEPS
    assert found.window == (1 / 4,) * STEPS


def test_a_supervised_recipe_has_no_step_with_unlabelled_clips():
    assert step_time(small_recipe(ssl={"method": "supervised"}), "cpu", clock=clock_of(1.0)).full == ()


def test_slow_steps_are_timed_once():
    found = step_time(small_recipe(), "cpu", clock=clock_of(BUDGET_S))
    assert [len(times) for times in (found.supervised, found.full, found.window)] == [1, 1, 1]


def test_a_few_clips_stand_for_a_large_batch_on_a_cpu():
    batch = {"labelled": 16, "unlabelled": 8, "accumulate": 8}
    found = step_time(small_recipe(batch=batch, evaluate={"batch": 32}), "cpu", clock=clock_of(1.0))
    assert found.supervised == found.full == (4.0,) * STEPS
    assert found.window == (1 / 4,) * STEPS


def test_the_size_of_a_network_is_that_of_its_weights_and_buffers():
    recipe = small_recipe()
    network = build_model(recipe.model, n_outputs=3, frames=4, size=32, seed=0)
    numbers = sum(parameter.numel() for parameter in network.parameters())
    others = sum(buffer.numel() * buffer.element_size() for buffer in network.buffers())
    assert step_time(recipe, "cpu", clock=clock_of(1.0)).network_bytes == 4 * numbers + others


@pytest.mark.parametrize("precision", ["fp16"])
def test_what_this_device_cannot_do_is_refused(precision):
    from agrm_study.study.errors import InputError

    with pytest.raises(InputError, match="fp16 requires a GPU"):
        step_time(small_recipe(precision=precision), "cpu")
