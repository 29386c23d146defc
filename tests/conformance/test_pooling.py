"""Does every pooling layer keep the seam's promises? Runs over `POOLING`."""

import sys

import pytest
import torch

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Pooling as Settings
from agrm_study.training.models.pooling import POOLING, pooling_class
from agrm_study.training.models.pooling.base import Pooling

STEPS = 3


@pytest.fixture(params=POOLING)
def name(request):
    return request.param


@pytest.fixture(params=["mean", "max", "flatten"])
def temporal(request):
    return request.param


def layer_of(name, **settings):
    return pooling_class(name)(Settings(name=name, **settings), steps=STEPS)


def features(rows=7, columns=5, batch=2, frames=STEPS):
    return torch.randn(batch, 4, frames, rows, columns, generator=torch.Generator().manual_seed(rows))


def test_the_class_is_a_pooling_layer_with_a_docstring(name):
    chosen = pooling_class(name)
    assert issubclass(chosen, Pooling)
    assert chosen.__doc__
    assert sys.modules[chosen.__module__].__doc__


def test_it_has_no_parameters_and_no_buffers(name):
    assert layer_of(name).state_dict() == {}


@pytest.mark.parametrize("combine", ["sum", "concat"])
def test_the_vector_s_length_does_not_depend_on_the_map_s_size(name, temporal, combine):
    layer = layer_of(name, temporal=temporal, combine=combine)
    shapes = {layer(features(rows, columns)).shape for rows, columns in [(7, 5), (1, 1), (2, 9), (14, 14), (3, 3)]}
    assert len(shapes) == 1
    (shape,) = shapes
    assert shape[0] == 2
    assert len(shape) == 2


def test_a_constant_map_gives_one_value_everywhere(name, temporal):
    vector = layer_of(name, temporal=temporal)(torch.full((2, 4, STEPS, 7, 5), 3.0))
    assert torch.allclose(vector, vector[0, 0].expand_as(vector))


def test_frames_in_another_order_pool_to_the_same_vector_unless_flattened(name, temporal):
    layer = layer_of(name, temporal=temporal)
    same = torch.allclose(layer(features()), layer(features().flip(2)), atol=1e-6)
    assert same is (temporal != "flatten")


def test_every_place_of_every_frame_can_change_the_vector(name, temporal):
    layer = layer_of(name, temporal=temporal)
    reference = torch.zeros(1, 1, STEPS, 7, 5)
    for frame in range(STEPS):
        for row in range(7):
            for column in range(5):
                changed = reference.clone()
                changed[0, 0, frame, row, column] = 1.0
                assert not torch.equal(layer(changed), layer(reference))


def test_gradients_reach_the_features(name, temporal):
    volume = features().requires_grad_()
    layer_of(name, temporal=temporal)(volume).square().sum().backward()
    assert torch.isfinite(volume.grad).all()
    assert volume.grad.abs().max() > 0


def test_clips_and_features_do_not_mix(name, temporal):
    layer = layer_of(name, temporal=temporal)
    together = layer(features(batch=2))
    alone = torch.cat([layer(clip[None]) for clip in features(batch=2)])
    assert torch.allclose(together, alone)
    per_feature = together.view(2, 4, -1)
    swapped = layer(features().flip(1)).view(2, 4, -1)
    assert torch.allclose(per_feature.sum(2).flip(1), swapped.sum(2), atol=1e-5)


def test_the_input_is_left_as_it_was(name, temporal):
    volume = features()
    layer_of(name, temporal=temporal)(volume)
    assert torch.equal(volume, features())


def test_flattened_time_refuses_another_number_of_frames(name):
    with pytest.raises(ValueError, match="built for 3 frames of features, given 2"):
        layer_of(name, temporal="flatten")(features(frames=2))
    assert layer_of(name)(features(frames=2)).shape == layer_of(name)(features()).shape


def test_an_unknown_name_is_refused_with_the_closest_one():
    with pytest.raises(InputError, match=r"model\.pooling\.name.*allowed: average, max.*Did you mean `shpm`\?"):
        pooling_class("shmp")
