"""Grad-CAM maps, for a network with a known map and for every backbone."""

import pytest
import torch
from torch import nn

from agrm_study.explain.gradcam import grad_cam, to_clip
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.backbones import BACKBONES
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.build import build_model
from agrm_study.training.models.network import VideoClassifier

SAME = torch.Tensor.float
CLASS_TOKEN = ("mvit_v2_s", "average")
"""Reads a class token instead of positions."""


class Linear(Backbone):
    """Features that are a linear mixture of the colours, place by place."""

    @classmethod
    def from_settings(cls, settings):
        raise AssertionError("not built from a recipe here")


class Mean(nn.Module):
    def forward(self, features_BDTHW):
        return features_BDTHW.mean(dim=(2, 3, 4))


@pytest.fixture
def linear():
    torch.manual_seed(0)
    mixture = nn.Conv3d(3, 5, 1, bias=False)
    return VideoClassifier(Linear({"mix": mixture}, feature_dim=5), Mean(), {}, 0.0, nn.Linear(5, 3))


def test_of_a_linear_network_the_map_is_the_classifiers_weighted_sum_of_features(linear):
    clips = torch.randn(2, 3, 4, 6, 7)
    found = grad_cam(linear, SAME, clips, torch.tensor([2, 0]))
    features = torch.einsum("dc,bcthw->bdthw", linear.get_submodule("mix").weight[:, :, 0, 0, 0], clips)
    # Zhou et al. 2016: with a global average the slope of a logit is its weight over the number of places.
    expected = torch.einsum("bd,bdthw->bthw", linear.fc.weight[[2, 0]], features).relu() / (4 * 6 * 7)
    torch.testing.assert_close(found, expected.detach())


def test_a_clip_is_explained_alone_whatever_is_in_its_batch(linear):
    clips, targets = torch.randn(3, 3, 2, 4, 4), torch.tensor([0, 1, 2])
    whole = grad_cam(linear, SAME, clips, targets)
    torch.testing.assert_close(whole[1:2], grad_cam(linear, SAME, clips[1:2], targets[1:2]))


def test_the_network_is_left_as_it_was(linear):
    linear.train()
    before = linear(torch.ones(1, 3, 2, 4, 4))
    grad_cam(linear, SAME, torch.randn(1, 3, 2, 4, 4), torch.tensor([0]))
    assert linear.training
    assert all(parameter.grad is None for parameter in linear.parameters())
    torch.testing.assert_close(linear(torch.ones(1, 3, 2, 4, 4)), before)


def test_a_map_is_scaled_to_its_own_lowest_and_highest_value():
    maps = (
        torch.rand(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
        * torch.tensor([5.0, 0.01])[:, None, None, None]
    )
    scaled = to_clip(maps, 8, 24)
    assert scaled.shape == (2, 8, 24, 24)
    assert scaled.amin(dim=(1, 2, 3)).tolist() == [0.0, 0.0]
    assert scaled.amax(dim=(1, 2, 3)).tolist() == [1.0, 1.0]


def test_a_map_without_relief_is_nothing():
    assert to_clip(torch.full((1, 1, 3, 3), 2.0), 4, 12).abs().max() == 0


def test_enlarging_is_trilinear():
    ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 2, 4, 4)
    row = to_clip(ramp, 4, 8)[0, 0, 0]
    # Pixel x of 8 lies at (x + ½)/2 − ½ of the 4 cells, held at the border.
    expected = ((torch.arange(8) + 0.5) / 2 - 0.5).clamp(0, 3) / 3
    torch.testing.assert_close(row, expected)


@pytest.mark.parametrize(
    ("name", "pooling"),
    [(name, pooling) for name in BACKBONES for pooling in ("average", "shpm") if (name, pooling) != CLASS_TOKEN],
)
def test_every_backbone_has_a_map(name, pooling):
    model = Model(backbone=name, width=8, depth=10, pooling={"name": pooling})
    network = build_model(model, n_outputs=3, frames=8, size=48, seed=0).requires_grad_(False)
    clips = torch.randn(2, 3, 8, 48, 48, generator=torch.Generator().manual_seed(0))
    maps = grad_cam(network, SAME, clips, torch.tensor([0, 2]))
    assert maps.shape == (2, *network.features(clips).shape[2:])
    assert torch.isfinite(maps).all()
    assert maps.min() >= 0
    assert to_clip(maps, 8, 48).shape == (2, 8, 48, 48)


def test_a_network_that_reads_a_class_token_has_no_map():
    model = Model(backbone="mvit_v2_s", width=4, pooling=Pooling(name="average"))
    network = build_model(model, n_outputs=3, frames=4, size=32, seed=0)
    with pytest.raises(InputError, match=r"Grad-CAM requires features with positions.*shpm"):
        grad_cam(network, lambda outputs: outputs, torch.zeros(1, 3, 4, 32, 32), torch.tensor([0]))
