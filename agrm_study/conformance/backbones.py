"""Conformance checks for backbones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from agrm_study.conformance.checks import must
from agrm_study.study.recipe import Model, Pooling
from agrm_study.training.models.backbones import backbone_class
from agrm_study.training.models.build import VideoClassifier, build_model
from agrm_study.training.models.pooling import POOLING

FRAMES, SIZE = 8, 48
TAKEN = {"backbone", "pooling", "dropout", "fc"}


def network_of(name: str, pooling: str = "shpm") -> VideoClassifier:
    """A narrow network with the given backbone, for three classes."""
    model = Model(backbone=name, width=8, depth=10, pooling=Pooling(name=pooling))
    return build_model(model, n_outputs=3, frames=FRAMES, size=SIZE, seed=0)


def clips(batch: int = 2, frames: int = FRAMES, size: int = SIZE) -> Tensor:
    """Synthetic clips (B, 3, T, H, W)."""
    return torch.randn(batch, 3, frames, size, size, generator=torch.Generator().manual_seed(0))


def has_a_docstring(name: str) -> None:
    """The class has a docstring."""
    must(backbone_class(name).__doc__, "the docstring is missing")


def features_have_the_promised_axes(name: str) -> None:
    """Features are finite and have the axes (B, D, T', H', W'), with D = feature_dim."""
    network = network_of(name)
    found = network.features(clips())
    must(found.ndim == 5, f"they have {found.ndim} axes")
    wanted = (2, network.feature_dim)
    must(found.shape[:2] == wanted, f"the shape is {tuple(found.shape)}, not {(*wanted, 'T', 'H', 'W')}")
    must(torch.isfinite(found).all(), "some are not finite")


def width_scales(name: str) -> None:
    """The feature dimension scales with `model.width`."""
    with torch.device("meta"):
        narrow, wide = (backbone_class(name).from_settings(Model(backbone=name, width=w)) for w in (8, 64))
    must(
        wide.feature_dim == 8 * narrow.feature_dim,
        f"width 8 gives {narrow.feature_dim} features, width 64 {wide.feature_dim}",
    )


def every_pooling_fits(name: str) -> None:
    """There is one output per class with every pooling layer."""
    for pooling in POOLING:
        found = network_of(name, pooling)(clips())
        must(found.shape == (2, 3), f"with {pooling} the shape is {tuple(found.shape)}")
        must(torch.isfinite(found).all(), f"with {pooling} some outputs are not finite")


def any_clip_passes(name: str) -> None:
    """Clips of any length and size are accepted."""
    for frames, size in ((1, 1), (2, 31), (5, 50), (16, 40)):
        model = Model(backbone=name, width=4, depth=10)
        network = build_model(model, n_outputs=3, frames=frames, size=size, seed=0).eval()
        found = network(clips(1, frames, size))
        must(torch.isfinite(found).all(), f"{frames} frames of {size}x{size} give outputs that are not finite")


def every_corner_counts(name: str) -> None:
    """Every row, column and frame of a clip affects the features."""
    network = network_of(name).eval()
    given = clips(1, FRAMES, 50).requires_grad_()
    network.features(given).square().sum().backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    for axis, what in ((2, "frame"), (3, "row"), (4, "column")):
        gradient = given.grad.abs()
        must(gradient.select(axis, 0).max() > 0, f"the first {what} has no gradient")
        must(gradient.select(axis, -1).max() > 0, f"the last {what} has no gradient")


def gradcam_works(name: str) -> None:
    """The last stage returns the features and receives gradients, and its output is not overwritten (Grad-CAM)."""
    network = network_of(name)
    seen: dict[str, Tensor] = {}

    def keep(_module: object, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        seen["features"] = output

    handle = network.gradcam_layer.register_forward_hook(keep)
    outputs = network(clips())
    handle.remove()
    kept = seen["features"].detach().clone()
    outputs[:, 1].sum().backward()
    gradient = seen["features"].grad
    must(gradient is not None and gradient.abs().max() > 0, "it receives no gradient")
    must(torch.equal(seen["features"].detach(), kept), "its output is overwritten")
    must(kept.shape[1] == network.feature_dim, f"its output has {kept.shape[1]} channels, not {network.feature_dim}")


def every_parameter_learns(name: str) -> None:
    """Every parameter receives a finite gradient."""
    network = network_of(name)
    torch.nn.functional.cross_entropy(network(clips(4)), torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
    for key, parameter in network.named_parameters():
        must(parameter.grad is not None, f"{key} has no gradient")
        must(parameter.grad is None or torch.isfinite(parameter.grad).all(), f"the gradient of {key} is not finite")


def layout_changes_nothing(name: str) -> None:
    """The memory layout of tensors does not affect the outputs."""
    network = network_of(name).eval()
    with torch.no_grad():
        expected = network(clips())
        network.to(memory_format=torch.channels_last_3d)
        found = network(clips().to(memory_format=torch.channels_last_3d))
    must(torch.allclose(found, expected, rtol=1e-3, atol=1e-4), "outputs differ with channels last")


def evaluation_is_repeatable(name: str) -> None:
    """In evaluation mode, outputs are repeatable, and the outputs of a clip do not depend on other clips."""
    network = network_of(name).eval()
    with torch.no_grad():
        together = network(clips(3))
        must(torch.equal(together, network(clips(3))), "the same clips give different outputs the second time")
        alone = torch.cat([network(clip[None]) for clip in clips(3)])
    must(torch.allclose(together, alone, rtol=1e-3, atol=1e-4), "a clip's output depends on the rest of its batch")


def evaluation_leaves_state_alone(name: str) -> None:
    """Evaluation does not change weights or buffers."""
    network = network_of(name).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        network(clips())
    for key, value in network.state_dict().items():
        must(torch.equal(value, before[key]), f"{key} changes")


def a_copy_is_independent(name: str) -> None:
    """A deep copy gives the same outputs and does not share weights with the original."""
    network = network_of(name).eval()
    twin = copy.deepcopy(network)
    with torch.no_grad():
        must(torch.equal(twin(clips()), network(clips())), "its outputs differ")
        next(twin.parameters()).zero_()
        must(not torch.equal(twin(clips()), network(clips())), "it shares weights with the original")


def modes_are_followed(name: str) -> None:
    """Batch norm and dropout follow the network's mode."""
    network = network_of(name)
    must(all(not module.training for module in network.eval().modules()), "a module stays in training mode")
    must(all(module.training for module in network.train().modules()), "a module stays in evaluation mode")


def stage_names_are_free(name: str) -> None:
    """No stage is named backbone, pooling, dropout or fc."""
    first = {key.split(".")[0] for key in network_of(name).state_dict()} - {"fc"}
    must(not first & TAKEN, f"a stage is named {', '.join(first & TAKEN)}")


CHECKS = (
    has_a_docstring,
    features_have_the_promised_axes,
    width_scales,
    every_pooling_fits,
    any_clip_passes,
    every_corner_counts,
    gradcam_works,
    every_parameter_learns,
    layout_changes_nothing,
    evaluation_is_repeatable,
    evaluation_leaves_state_alone,
    a_copy_is_independent,
    modes_are_followed,
    stage_names_are_free,
)
