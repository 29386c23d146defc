"""The initial weights are a function of the seed alone."""

import random

import numpy as np
import pytest
import torch

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.backbones import BACKBONES
from agrm_study.training.models.build import build_model

SMALL = {"n_outputs": 3, "frames": 8, "size": 48}


def small(name="r3d_18", **settings):
    return Model(backbone=name, width=8, depth=10, **settings)


def same(first, second, keys=None):
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[key], theirs[key]) for key in keys or ours)


@pytest.mark.parametrize("name", BACKBONES)
def test_equal_seeds_give_equal_weights_whatever_happened_before(name):
    first = build_model(small(name), **SMALL, seed=7)
    torch.rand(1234)
    assert same(first, build_model(small(name), **SMALL, seed=7))
    other = build_model(small(name), **SMALL, seed=8)
    assert not torch.equal(first.fc.weight, other.fc.weight)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_no_global_random_state_moves():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    build_model(small(), **SMALL, seed=7)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(
    "settings",
    [{"pooling": Pooling(name="average")}, {"pooling": Pooling(name="hpp")}, {"classifier": "arcface", "dropout": 0.3}],
)
def test_arms_with_another_head_share_the_backbone_s_initial_weights(name, settings):
    reference, arm = build_model(small(name), **SMALL, seed=7), build_model(small(name, **settings), **SMALL, seed=7)
    backbone = [key for key in reference.state_dict() if key.split(".")[0] not in reference.head_names]
    assert len(backbone) > 10
    assert same(reference, arm, backbone)


def test_two_and_three_classes_share_the_backbone_s_initial_weights():
    two = build_model(small(), n_outputs=2, frames=8, size=48, seed=7)
    three = build_model(small(), n_outputs=3, frames=8, size=48, seed=7)
    assert same(two, three, [key for key in two.state_dict() if not key.startswith("fc.")])


@pytest.mark.parametrize("name", BACKBONES)
def test_no_weight_is_left_uninitialised(name):
    torch.use_deterministic_algorithms(True)  # fills fresh memory with NaN and the largest integer
    try:
        network = build_model(small(name), **SMALL, seed=0)
    finally:
        torch.use_deterministic_algorithms(False)
    for key, value in network.state_dict().items():
        assert torch.isfinite(value).all(), key
        indices = key.endswith("relative_position_index")  # compared with torchvision's in test_modern_backbones.py
        assert value.is_floating_point() or indices or value == 0, key


def test_the_network_is_on_the_cpu_whatever_the_default_device_is():
    with torch.device("meta"):
        network = build_model(small(), **SMALL, seed=7)
    assert {value.device.type for value in network.state_dict().values()} == {"cpu"}
    assert same(network, build_model(small(), **SMALL, seed=7))


def test_a_new_network_trains_and_every_parameter_wants_a_gradient():
    network = build_model(small(), **SMALL, seed=0)
    assert all(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_an_unknown_backbone_is_refused_with_the_closest_name():
    with pytest.raises(InputError, match=r"model\.backbone.*r3d_81.*allowed: .*uniformer_s.*Did you mean `r3d_18`\?"):
        build_model(Model(backbone="r3d_81"), **SMALL, seed=0)


def test_dropout_acts_in_training_only():
    network = build_model(small(dropout=0.5), **SMALL, seed=0)
    features = torch.ones(2, 64, 1, 3, 3)
    assert network.dropout.p == 0.5
    assert not torch.equal(network.classify(features), network.classify(features))
    network.eval()
    assert torch.equal(network.classify(features), network.classify(features))


def test_pooling_over_flattened_time_refuses_another_clip_length():
    network = build_model(small("mc3_18", pooling=Pooling(temporal="flatten")), **SMALL, seed=0).eval()
    assert network(torch.zeros(1, 3, 8, 48, 48)).shape == (1, 3)
    with pytest.raises(ValueError, match="must have 8 feature frames, got 6"):
        network(torch.zeros(1, 3, 6, 48, 48))
