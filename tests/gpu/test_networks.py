"""Networks on a GPU against the same networks on the CPU."""

import pytest
import torch

from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.backbones import BACKBONES
from agrm_study.training.models.build import build_model

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("classifier", ["linear", "arcface"])
def test_outputs_agree_with_the_cpu_and_train_under_autocast(name, classifier):
    model = Model(backbone=name, width=16, depth=10, classifier=classifier, pooling=Pooling())
    network = build_model(model, n_outputs=3, frames=8, size=64, seed=0).eval()
    clips_BCTHW = torch.randn(2, 3, 8, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        reference = network(clips_BCTHW)
        network.to("cuda", memory_format=torch.channels_last_3d)
        moved = clips_BCTHW.to("cuda", memory_format=torch.channels_last_3d)
        assert torch.allclose(network(moved).cpu(), reference, rtol=1e-2, atol=1e-2)
    network.train()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        outputs = network(moved)
    outputs.float().square().sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


def test_building_leaves_the_generators_of_the_gpu_alone():
    torch.cuda.init()
    before = torch.cuda.get_rng_state()
    build_model(Model(width=8, depth=10), n_outputs=3, frames=8, size=48, seed=0)
    assert torch.equal(torch.cuda.get_rng_state(), before)
