"""`deterministic: true` on a GPU: equal training runs are bit-identical, also if they are resumed."""

from __future__ import annotations

import pytest
import torch

from agrm_study.training.fit import Training

pytestmark = pytest.mark.gpu


def trained(recipe, data, epochs, folder=None) -> Training:
    training = Training(recipe, **data.arguments, device="cuda", checkpoint_dir=folder)
    while training.epoch < epochs:
        training.run_epoch()
    return training


def same(one: Training, other: Training) -> bool:
    mine, theirs = one._networks.weights(), other._networks.weights()
    assert mine.keys() == theirs.keys()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("pooling", ["shpm", "average"])
def test_two_trainings_are_equal_bit_for_bit(tiny_data, tiny_recipe, precision, pooling):
    recipe = tiny_recipe(deterministic=True, precision=precision, model__pooling={"name": pooling})
    first, second = (trained(recipe, tiny_data, 3) for _ in range(2))
    assert same(first, second)
    assert [row.loss for row in first.rows] == [row.loss for row in second.rows]


def test_a_resumed_training_is_the_one_that_was_never_interrupted(tiny_data, tiny_recipe, tmp_path):
    recipe = tiny_recipe(deterministic=True)
    trained(recipe, tiny_data, 2, tmp_path).save()
    resumed = trained(recipe, tiny_data, 4, tmp_path)
    assert same(resumed, trained(recipe, tiny_data, 4))


def test_a_session_leaves_the_global_settings_as_they_were(tiny_data, tiny_recipe):
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    trained(tiny_recipe(deterministic=True), tiny_data, 1)
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before
