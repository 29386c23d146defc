"""C3D has the published shapes and accepts short clips and clips of different lengths."""

import pytest
import torch

from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.backbones.c3d import C3d, C3dPooling
from agrm_study.training.models.build import build_model


def test_the_shapes_at_16_frames_of_112_are_the_published_ones():
    with torch.device("meta"):
        backbone = C3d(64)
        clips_BCTHW = torch.empty(2, 3, 16, 112, 112)
    shapes = {}
    for name, stage in backbone.named_children():
        clips_BCTHW = stage(clips_BCTHW)
        shapes[name] = tuple(clips_BCTHW.shape[1:])
    assert shapes["conv1"] == (64, 16, 112, 112)
    assert shapes["pool1"] == (64, 16, 56, 56)
    assert shapes["pool2"] == (128, 8, 28, 28)
    assert shapes["conv3b"] == (256, 8, 28, 28)
    assert shapes["pool3"] == (256, 4, 14, 14)
    assert shapes["conv4b"] == (512, 4, 14, 14)
    assert shapes["pool4"] == (512, 2, 7, 7)
    assert shapes["relu5b"] == (512, 2, 7, 7)
    assert C3dPooling("flatten")(clips_BCTHW).shape == (2, 8192)


def test_both_heads_are_one_function_on_the_published_grid():
    features = torch.randn(2, 4, 2, 7, 7, generator=torch.Generator().manual_seed(0))
    assert torch.equal(C3dPooling("flatten")(features), C3dPooling("adaptive")(features))


def test_the_fifth_pooling_pads_a_row_at_each_side():
    features = torch.arange(49.0).view(1, 1, 1, 7, 7)
    grid = C3dPooling("flatten")(features).view(4, 4)
    assert grid.tolist() == [[0, 2, 4, 6], [14, 16, 18, 20], [28, 30, 32, 34], [42, 44, 46, 48]]


@pytest.mark.parametrize(("frames", "size"), [(4, 48), (1, 32), (9, 50), (16, 64)])
@pytest.mark.parametrize("pooling", ["average", "shpm"])
def test_short_and_uneven_clips_pass(frames, size, pooling):
    model = Model(backbone="c3d", width=4, head="flatten", pooling=Pooling(name=pooling))
    network = build_model(model, n_outputs=3, frames=frames, size=size, seed=0)
    clips_BCTHW = torch.randn(2, 3, frames, size, size)
    assert network(clips_BCTHW).shape == (2, 3)
    assert network.features(clips_BCTHW).shape[3] == -(-size // 16)


def test_the_last_row_and_the_last_frame_of_an_uneven_clip_are_seen():
    model = Model(backbone="c3d", width=4, pooling=Pooling(name="average"))
    network = build_model(model, n_outputs=3, frames=9, size=50, seed=0).eval()
    clips_BCTHW = torch.randn(1, 3, 9, 50, 50, generator=torch.Generator().manual_seed(0), requires_grad=True)
    network.features(clips_BCTHW).sum().backward()
    assert clips_BCTHW.grad[..., -1, :].abs().max() > 0
    assert clips_BCTHW.grad[:, :, -1].abs().max() > 0


def test_the_hidden_layers_carry_their_published_dropout():
    network = build_model(Model(backbone="c3d", width=4), n_outputs=3, frames=4, size=32, seed=0)
    assert (network.drop6.p, network.drop7.p, network.dropout.p) == (0.5, 0.5, 0.0)
    assert network.head_names[-1] == "fc"
    assert network.fc6.out_features == network.fc7.out_features == 64 * 4


def test_activations_keep_their_scale_through_eight_convolutions():
    network = build_model(Model(backbone="c3d", width=16), n_outputs=3, frames=8, size=48, seed=0)
    clips_BCTHW = torch.randn(2, 3, 8, 48, 48, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 0.1 < network.features(clips_BCTHW).std() < 10
