"""S3D, MViTv2-S and Swin3D-T equal torchvision's networks, and load its weights files."""

import pytest
import torch
import torchvision.models.video as published
from safetensors.torch import save_file

from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.build import build_model, count_parameters, forward_gflops
from agrm_study.training.models.weights import load_weights

MODERN = ["s3d", "mvit_v2_s", "swin3d_t"]
AVERAGE = Pooling(name="average")
TITLES = {"s3d": "S3D", "mvit_v2_s": "MViT_V2_S", "swin3d_t": "Swin3D_T"}


def reference(name, classes, frames=16, size=224):
    """torchvision's network with random weights and statistics, for clips of a size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = getattr(published, name)(weights=None, num_classes=classes).eval()
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point() and tensor.ndim <= 1:  # no norm, bias or statistic has its initial value
                tensor.data.uniform_(0.5, 1.5)
    if name == "mvit_v2_s":
        network.pos_encoding.temporal_size = frames // 2
        network.pos_encoding.spatial_size = (size // 4, size // 4)
    return network


def clips(frames, size):
    return torch.randn(1, 3, frames, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MODERN)
def test_networks_have_the_parameters_that_torchvision_states(name):
    [weights] = [w for w in getattr(published, f"{TITLES[name]}_Weights") if w.name == "KINETICS400_V1"]
    model = Model(backbone=name, pooling=AVERAGE)
    assert count_parameters(model, n_outputs=400, frames=16, size=224) == weights.meta["num_params"]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("mvit_v2_s", 8, 64),
        ("swin3d_t", 8, 64),
        *(pytest.param(name, 16, 224, marks=pytest.mark.slow) for name in MODERN),
    ],
)
def test_logits_of_a_loaded_file_are_those_of_torchvision(name, frames, size, suffix, tmp_path):
    theirs = reference(name, 5, frames, size)
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(theirs.state_dict(), path)
    ours = build_model(Model(backbone=name, pooling=AVERAGE), n_outputs=5, frames=frames, size=size, seed=0).eval()
    assert load_weights(ours, path) == []
    with torch.no_grad():
        found, wanted = ours(clips(frames, size)), theirs(clips(frames, size))
    assert wanted.std() > 0.01
    assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_features_of_s3d_are_those_of_torchvision(tmp_path):
    theirs = reference("s3d", 400)
    torch.save(theirs.state_dict(), tmp_path / "s3d.pth")
    ours = build_model(Model(backbone="s3d", pooling=AVERAGE), n_outputs=3, frames=16, size=64, seed=0).eval()
    assert [message.split(":")[0] for message in load_weights(ours, tmp_path / "s3d.pth")] == ["fc.bias", "fc.weight"]
    with torch.no_grad():
        assert torch.equal(ours.features(clips(16, 64)), theirs.features(clips(16, 64)))


@pytest.mark.parametrize("name", MODERN)
def test_initial_weights_follow_the_distribution_of_torchvision(name):
    ours = build_model(Model(backbone=name, pooling=AVERAGE), n_outputs=400, frames=8, size=32, seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = getattr(published, name)(weights=None, num_classes=400)
    pairs = list(zip(ours.named_parameters(), theirs.parameters(), strict=True))
    assert len(pairs) > 50
    for (key, value), wanted in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        assert torch.equal(value, wanted), key
    for (key, value), wanted in pairs:
        if wanted.numel() > 20_000 and not key.startswith("fc."):
            assert value.std().item() == pytest.approx(wanted.std().item(), rel=0.05), key
        elif wanted.ndim == 1 and wanted.std() == 0:  # norms and biases
            assert torch.equal(value, wanted), key


def test_mvit_gives_the_pooling_its_patches_and_average_the_class_token():
    volumes = {}
    for pooling in ("shpm", "average"):
        model = Model(backbone="mvit_v2_s", width=8, pooling=Pooling(name=pooling))
        network = build_model(model, n_outputs=3, frames=8, size=64, seed=0).eval()
        with torch.no_grad():
            volumes[pooling] = network.features(clips(8, 64))
        assert network.has_positions == (pooling == "shpm")
    assert volumes["shpm"].shape == (1, 96, 4, 2, 2)
    assert volumes["average"].shape == (1, 96, 1, 1, 1)


@pytest.mark.parametrize(
    ("name", "size"), [("r3d_18", 112), ("r2plus1d_18", 112), *((name, 224) for name in MODERN)]
)  # torchvision states multiply-adds
def test_operations_are_twice_the_multiply_adds_that_torchvision_states(name, size):
    title = {"r3d_18": "R3D_18", "r2plus1d_18": "R2Plus1D_18", **TITLES}[name]
    weights = next(iter(getattr(published, f"{title}_Weights")))
    found = forward_gflops(Model(backbone=name, pooling=AVERAGE), n_outputs=400, frames=16, size=size)
    assert found / 2 == pytest.approx(weights.meta["_ops"], abs=0.001)
