"""The cosine classifier returns cosines and nothing else."""

import math

import torch
import torch.nn.functional as F

from agrm_study.study.recipe import Model
from agrm_study.training.models.build import build_model
from agrm_study.training.models.classifier import CosineClassifier, make_classifier, reset_classifier


def test_outputs_are_the_cosines_of_known_angles():
    head = CosineClassifier(2, 3)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0]]))
    vectors_BP = torch.tensor([[5.0, 0.0], [math.sqrt(3), 1.0]])
    expected = torch.tensor([[1.0, 0.0, -1.0], [math.cos(math.pi / 6), 0.5, -math.cos(math.pi / 6)]])
    assert torch.allclose(head(vectors_BP), expected, atol=1e-6)


def test_lengths_of_vectors_and_directions_change_nothing():
    head = CosineClassifier(8, 3)
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(head.weight, generator=generator)
    vectors_BP = torch.randn(4, 8, generator=generator)
    first = head(vectors_BP)
    with torch.no_grad():
        head.weight.mul_(7.0)
    assert torch.allclose(head(100 * vectors_BP), first, atol=1e-6)
    assert torch.allclose(first, F.cosine_similarity(vectors_BP[:, None], head.weight[None], dim=2), atol=1e-6)


def test_a_zero_vector_gives_zero_and_no_nan():
    head = CosineClassifier(4, 2)
    torch.nn.init.ones_(head.weight)
    vectors_BP = torch.zeros(1, 4, requires_grad=True)
    head(vectors_BP).sum().backward()
    assert torch.equal(head(vectors_BP), torch.zeros(1, 2))
    assert torch.isfinite(vectors_BP.grad).all()


def test_cosines_stay_in_float32_under_autocast():
    head = CosineClassifier(4, 2)
    reset_classifier(head, 0.01)
    vectors_BP = torch.randn(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(head(vectors_BP), head(vectors_BP.float()))
        assert head(vectors_BP.bfloat16()).dtype == torch.float32


def test_a_network_with_the_arcface_head_returns_cosines():
    network = build_model(Model(width=8, depth=10, classifier="arcface"), n_outputs=3, frames=8, size=48, seed=0)
    outputs_BK = network(torch.randn(4, 3, 8, 48, 48, generator=torch.Generator().manual_seed(0)))
    assert outputs_BK.shape == (4, 3)
    assert outputs_BK.abs().max() <= 1 + 1e-6


def test_the_linear_head_starts_with_a_zero_bias_and_a_small_weight():
    head = make_classifier("linear", 10_752, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reset_classifier(head, 0.01)
    assert torch.equal(head.bias, torch.zeros(3))
    assert abs(head.weight.std().item() - 0.01) < 2e-4
