"""A published residual network with the same weights computes the same function as torchvision's."""

import pytest
import torch
import torchvision.models.video as published

from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.build import build_model

RESIDUAL = ["r3d_18", "r2plus1d_18", "mc3_18"]
AVERAGE = Pooling(name="average")


@pytest.mark.parametrize("name", RESIDUAL)
def test_keys_shapes_and_logits_are_those_of_torchvision(name):
    ours = build_model(Model(backbone=name, pooling=AVERAGE), n_outputs=5, frames=8, size=32, seed=3).eval()
    theirs = getattr(published, name)(weights=None, num_classes=5).eval()
    assert [(key, value.shape) for key, value in ours.state_dict().items()] == [
        (key, value.shape) for key, value in theirs.state_dict().items()
    ]
    with torch.no_grad():
        for buffer in ours.buffers():  # statistics that are not the initial ones, so that every layer counts
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
        theirs.load_state_dict(ours.state_dict())
        clips_BCTHW = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
        assert torch.equal(ours(clips_BCTHW), theirs(clips_BCTHW))


@pytest.mark.parametrize("name", RESIDUAL)
def test_initial_weights_follow_the_distribution_of_torchvision(name):
    ours = build_model(Model(backbone=name, pooling=AVERAGE), n_outputs=400, frames=8, size=32, seed=0).state_dict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = getattr(published, name)(weights=None, num_classes=400).state_dict()
    for key, value in theirs.items():
        if value.is_floating_point() and value.numel() > 20_000:
            assert ours[key].std().item() == pytest.approx(value.std().item(), rel=0.05), key
        elif value.ndim <= 1:  # batch norm and biases
            assert torch.equal(ours[key], value), key


def test_gradients_are_those_of_torchvision():
    ours = build_model(Model(pooling=AVERAGE), n_outputs=3, frames=8, size=32, seed=1)
    theirs = published.r3d_18(weights=None, num_classes=3)
    theirs.load_state_dict(ours.state_dict())
    clips_BCTHW = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    for network in (ours, theirs):
        torch.nn.functional.cross_entropy(network(clips_BCTHW), torch.tensor([0, 2])).backward()
    for (name, parameter), reference in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(parameter.grad, reference.grad, rtol=1e-4, atol=1e-6), name
