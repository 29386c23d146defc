"""Does every backbone keep the seam's promises? Runs over `BACKBONES`."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch

from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.backbones import BACKBONES, backbone_class
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.build import build_model
from agrm_study.training.models.pooling import POOLING

FRAMES, SIZE = 8, 48


@pytest.fixture(params=BACKBONES)
def name(request):
    return request.param


def network_of(name, **settings):
    model = Model(backbone=name, width=8, depth=10, **settings)
    return build_model(model, n_outputs=3, frames=FRAMES, size=SIZE, seed=0)


def clips(batch=2, frames=FRAMES, size=SIZE):
    return torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(0))


def test_the_class_is_a_backbone_with_a_docstring(name):
    chosen = backbone_class(name)
    assert issubclass(chosen, Backbone)
    assert chosen.__doc__
    assert sys.modules[chosen.__module__].__doc__


def test_features_have_the_promised_axes(name):
    network = network_of(name)
    features_BDTHW = network.features(clips())
    assert features_BDTHW.ndim == 5
    assert features_BDTHW.shape[:2] == (2, network.feature_dim)
    assert min(features_BDTHW.shape[2:]) >= 1
    assert torch.isfinite(features_BDTHW).all()


def test_the_published_width_scales(name):
    with torch.device("meta"):
        narrow, published = (backbone_class(name).from_settings(Model(backbone=name, width=w)) for w in (8, 64))
    assert published.feature_dim == 8 * narrow.feature_dim


def test_outputs_are_one_a_class_for_every_pooling(name):
    for pooling in POOLING:
        outputs_BK = network_of(name, pooling=Pooling(name=pooling))(clips())
        assert outputs_BK.shape == (2, 3)
        assert torch.isfinite(outputs_BK).all()


@pytest.mark.parametrize(("frames", "size"), [(1, 1), (2, 31), (5, 50), (16, 40)])
def test_clips_of_any_length_and_size_pass(name, frames, size):
    model = Model(backbone=name, width=4, depth=10)
    network = build_model(model, n_outputs=3, frames=frames, size=size, seed=0).eval()
    assert torch.isfinite(network(clips(1, frames, size))).all()


def test_every_corner_of_the_clip_reaches_the_features(name):
    network = network_of(name).eval()
    input_BCTHW = clips(1, FRAMES, 50).requires_grad_()
    network.features(input_BCTHW).square().sum().backward()
    for axis in (2, 3, 4):
        gradient = input_BCTHW.grad.abs()
        assert gradient.select(axis, 0).max() > 0
        assert gradient.select(axis, -1).max() > 0


def test_the_gradcam_layer_returns_the_features_and_gets_gradients(name):
    network = network_of(name)
    seen = {}

    def keep(_module, _inputs, output):
        output.retain_grad()
        seen["features"] = output

    handle = network.gradcam_layer.register_forward_hook(keep)
    outputs_BK = network(clips())
    handle.remove()
    kept = seen["features"].detach().clone()
    outputs_BK[:, 1].sum().backward()
    assert seen["features"].grad.shape == kept.shape
    assert seen["features"].grad.abs().max() > 0
    assert torch.equal(seen["features"].detach(), kept)
    assert kept.shape[1] == network.feature_dim


def test_every_parameter_gets_a_finite_gradient(name):
    network = network_of(name)
    torch.nn.functional.cross_entropy(network(clips(4)), torch.tensor([0, 1, 2, 0])).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


def test_the_memory_layout_changes_nothing_but_speed(name):
    network = network_of(name).eval()
    with torch.no_grad():
        expected = network(clips())
        network.to(memory_format=torch.channels_last_3d)
        found = network(clips().to(memory_format=torch.channels_last_3d))
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_evaluation_is_repeatable_and_each_clip_stands_alone(name):
    network = network_of(name).eval()
    with torch.no_grad():
        together = network(clips(3))
        assert torch.equal(together, network(clips(3)))
        alone = torch.cat([network(clip[None]) for clip in clips(3)])
    assert torch.allclose(together, alone, rtol=1e-3, atol=1e-4)


def test_evaluation_leaves_weights_and_buffers_alone(name):
    network = network_of(name).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        network(clips())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_copy_is_independent_and_equal(name):
    network = network_of(name).eval()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        with torch.no_grad():
            assert torch.equal(twin(clips()), network(clips()))
            next(twin.parameters()).zero_()
            assert not torch.equal(twin(clips()), network(clips()))


def test_batch_norm_and_dropout_follow_the_network_s_mode(name):
    network = network_of(name)
    assert all(not module.training for module in network.eval().modules())
    assert all(module.training for module in network.train().modules())


def test_state_dict_has_no_prefix_of_ours(name):
    keys = network_of(name).state_dict()
    assert {key.split(".")[0] for key in keys}.isdisjoint({"backbone", "pooling", "dropout"})
    assert "fc.weight" in keys


def test_names_are_read_without_torch():
    code = (
        "import sys\n"
        "from agrm_study.training.models.backbones import BACKBONES\n"
        "from agrm_study.training.models.pooling import POOLING\n"
        "assert BACKBONES and POOLING and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
