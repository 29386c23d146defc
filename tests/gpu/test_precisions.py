"""Training on a GPU in each precision, compiled and in the channels-last layout, against the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from agrm_study.study.recipe import Model, Recipe
from agrm_study.training.bf16 import TOLERANCE, bf16_problem
from agrm_study.training.device import Device
from agrm_study.training.loop import Training
from agrm_study.training.models.build import build_model

pytestmark = pytest.mark.gpu

LOSSES_DIFFER_BY = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 1e-1, "fp16": 2e-2}
"""Relative difference from the CPU that rounding may cause in the first epoch: the spacing of the format's numbers
(2^-24, 2^-11, 2^-8, 2^-11) times the ten layers and three steps that it passes through, with room."""


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """TF32 in convolutions and matrix products, or neither."""
    was = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = was


def trained(recipe: Recipe, data, device: str, epochs: int) -> Training:
    training = Training(recipe, **data.arguments, device=device)
    for _ in range(epochs):
        training.run_epoch()
    return training


@pytest.mark.parametrize("name", LOSSES_DIFFER_BY)
def test_the_first_epoch_loses_as_on_the_cpu_and_later_ones_stay_finite(tiny_data, tiny_recipe, name):
    precision = "fp32" if name == "tf32" else name
    reference = trained(tiny_recipe(), tiny_data, "cpu", 1).rows[0].loss
    with tf32(name == "tf32"):
        rows = trained(tiny_recipe(precision=precision), tiny_data, "cuda", 4).rows
    assert rows[0].loss == pytest.approx(reference, rel=LOSSES_DIFFER_BY[name])
    assert all(math.isfinite(row.loss) for row in rows)


def test_the_bf16_probe_accepts_cards_that_compute_in_it_and_refuses_those_that_emulate_it():
    usable = torch.cuda.get_device_capability() >= (8, 0)  # Ampere was the first
    assert (bf16_problem(torch.device("cuda")) is None) is usable


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_bf16_gradients_of_convolutions_are_those_of_fp32(frames):
    if bf16_problem(torch.device("cuda")):
        pytest.skip("this card does not compute in bf16")
    generator = torch.Generator().manual_seed(frames)
    convolution = torch.nn.Conv3d(16, 16, 3, padding=1, bias=False)
    clips, gradient = (torch.randn(5, 16, frames, 6, 6, generator=generator) for _ in range(2))
    wanted = torch.nn.grad.conv3d_weight(clips, convolution.weight.shape, gradient, padding=1)
    convolution.to("cuda", memory_format=torch.channels_last_3d)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        outputs = convolution(clips.to("cuda"))
    outputs.backward(gradient.to("cuda", outputs.dtype))
    assert (convolution.weight.grad.cpu() - wanted).abs().max() <= TOLERANCE * wanted.abs().max()


def test_fp16_leaves_out_a_step_whose_scaled_gradients_overflow_and_halves_the_scale(tiny_recipe):
    device = Device("cuda", tiny_recipe(precision="fp16"))
    weight = torch.nn.Parameter(torch.ones(4, device="cuda"))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    device.backward((weight * 1.0).sum())
    device.step(optimizer, [weight], None)
    assert torch.allclose(weight, torch.full_like(weight, 0.9))
    before, scale = weight.detach().clone(), device.scaler.get_scale()
    optimizer.zero_grad()
    device.backward((weight * float("inf")).sum())
    device.step(optimizer, [weight], None)
    assert torch.equal(weight, before)
    assert device.scaler.get_scale() == scale / 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_placed_network_computes_channels_last(tiny_recipe, precision):
    device = Device("cuda", tiny_recipe(precision=precision))
    network = build_model(Model(width=16, depth=10), n_outputs=3, frames=8, size=64, seed=0)
    device.place(network)
    layouts = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv3d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last_3d)
            module.register_forward_hook(
                lambda _, __, output: layouts.append(output.is_contiguous(memory_format=torch.channels_last_3d))
            )
    clips_BCTHW = torch.randn(2, 3, 8, 64, 64, device="cuda").to(memory_format=torch.channels_last_3d)
    with device.autocast():
        network(clips_BCTHW)
    assert layouts
    assert all(layouts)


def test_a_compiled_training_loses_as_one_that_is_not(tiny_data, tiny_recipe):
    pytest.importorskip("triton", reason="torch.compile needs triton on a GPU")
    with tf32(False):
        plain = trained(tiny_recipe(), tiny_data, "cuda", 2)
        compiled = trained(tiny_recipe(compile=True), tiny_data, "cuda", 2)
    assert compiled.rows[0].loss == pytest.approx(plain.rows[0].loss, rel=LOSSES_DIFFER_BY["fp32"])
    names = [set(training._networks.weights()) for training in (plain, compiled)]
    assert names[0] == names[1]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_resumed_training_continues_from_the_same_state(tiny_data, tiny_recipe, tmp_path, precision):
    recipe = tiny_recipe(precision=precision, ssl__threshold={"policy": "freematch"})
    whole = Training(recipe, **tiny_data.arguments, device="cuda", checkpoint_dir=tmp_path)
    for _ in range(3):
        whole.run_epoch()
    whole.save()
    resumed = Training(recipe, **tiny_data.arguments, device="cuda", checkpoint_dir=tmp_path)
    assert resumed.epoch == 3
    mine, theirs = resumed._networks.weights(), whole._networks.weights()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert resumed._device.scaler.get_scale() == whole._device.scaler.get_scale()
    whole.run_epoch()
    resumed.run_epoch()
    # GPU kernels add in an order of their own, so the next epoch is equal up to rounding, not bit by bit
    tolerance = LOSSES_DIFFER_BY["fp16" if precision == "fp32" else precision]
    assert resumed.rows[-1].loss == pytest.approx(whole.rows[-1].loss, rel=tolerance)


def test_a_checkpoint_of_a_gpu_is_resumed_on_the_cpu(tiny_data, tiny_recipe, tmp_path):
    first = Training(tiny_recipe(), **tiny_data.arguments, device="cuda", checkpoint_dir=tmp_path)
    first.run_epoch()
    first.save()
    resumed = Training(tiny_recipe(), **tiny_data.arguments, device="cpu", checkpoint_dir=tmp_path)
    assert resumed.epoch == 1
    assert math.isfinite(resumed.run_epoch().rows[0].loss)
