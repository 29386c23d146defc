"""Conformance checks for pooling layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from agrm_study.conformance.checks import Broken, must
from agrm_study.study.recipe import Pooling as Settings
from agrm_study.training.models.pooling import pooling_class
from agrm_study.training.models.pooling.base import Pooling

STEPS = 3
TEMPORAL = ("mean", "max", "flatten")


def layer_of(name: str, **settings: str) -> Pooling:
    """A pooling layer for volumes of `STEPS` frames."""
    return pooling_class(name)(Settings.model_validate({"name": name, **settings}), steps=STEPS)


def features(rows: int = 7, columns: int = 5, batch: int = 2, frames: int = STEPS) -> Tensor:
    """A synthetic feature volume (B, 4, T, H, W)."""
    return torch.randn(batch, 4, frames, rows, columns, generator=torch.Generator().manual_seed(rows))


def _always(check: Callable[[Pooling, str], None], name: str) -> None:
    for temporal in TEMPORAL:
        try:
            check(layer_of(name, temporal=temporal), temporal)
        except Broken as broken:
            raise Broken(f"with temporal: {temporal}, {broken}") from None


def has_a_docstring(name: str) -> None:
    """The class has a docstring."""
    must(pooling_class(name).__doc__, "the docstring is missing")


def holds_no_parameters(name: str) -> None:
    """The layer has no parameters or buffers."""
    must(layer_of(name).state_dict() == {}, f"it has {', '.join(layer_of(name).state_dict())}")


def length_is_fixed(name: str) -> None:
    """The vector's length does not depend on the size of the map."""
    for combine in ("sum", "concat"):
        for temporal in TEMPORAL:
            layer = layer_of(name, temporal=temporal, combine=combine)
            sizes = [(7, 5), (1, 1), (2, 9), (14, 14), (3, 3)]
            shapes = {tuple(layer(features(rows, columns)).shape) for rows, columns in sizes}
            must(len(shapes) == 1, f"shapes {sorted(shapes)} with temporal: {temporal}, combine: {combine}")
            (shape,) = shapes
            must(len(shape) == 2 and shape[0] == 2, f"the shape is {shape}, not (B, P)")


def constants_stay(name: str) -> None:
    """A constant map gives a constant vector."""

    def check(layer: Pooling, temporal: str) -> None:
        vector = layer(torch.full((2, 4, STEPS, 7, 5), 3.0))
        must(torch.allclose(vector, vector[0, 0].expand_as(vector)), "values differ")

    _always(check, name)


def frames_may_change_places(name: str) -> None:
    """The order of the frames does not affect the vector, unless they are flattened."""

    def check(layer: Pooling, temporal: str) -> None:
        same = torch.allclose(layer(features()), layer(features().flip(2)), atol=1e-6)
        must(same is (temporal != "flatten"), "the order of frames matters" if not same else "the order is lost")

    _always(check, name)


def every_place_counts(name: str) -> None:
    """Every position of every frame affects the vector."""

    def check(layer: Pooling, temporal: str) -> None:
        reference = torch.zeros(1, 1, STEPS, 7, 5)
        for place in torch.cartesian_prod(torch.arange(STEPS), torch.arange(7), torch.arange(5)).tolist():
            changed = reference.clone()
            changed[(0, 0, *place)] = 1.0
            must(not torch.equal(layer(changed), layer(reference)), f"frame, row, column {place} has no effect")

    _always(check, name)


def gradients_reach_the_features(name: str) -> None:
    """Gradients reach the features and are finite."""

    def check(layer: Pooling, temporal: str) -> None:
        volume = features().requires_grad_()
        layer(volume).square().sum().backward()
        must(volume.grad is not None and torch.isfinite(volume.grad).all(), "some are not finite")
        must(volume.grad is not None and volume.grad.abs().max() > 0, "all are zero")

    _always(check, name)


def clips_do_not_mix(name: str) -> None:
    """Different clips do not affect each other, and neither do different features."""

    def check(layer: Pooling, temporal: str) -> None:
        together = layer(features(batch=2))
        alone = torch.cat([layer(clip[None]) for clip in features(batch=2)])
        must(torch.allclose(together, alone), "a clip's vector depends on other clips")
        per_feature = together.view(2, 4, -1)
        swapped = layer(features().flip(1)).view(2, 4, -1)
        must(torch.allclose(per_feature.sum(2).flip(1), swapped.sum(2), atol=1e-5), "features are mixed")

    _always(check, name)


def input_is_left_alone(name: str) -> None:
    """The input is not modified."""

    def check(layer: Pooling, temporal: str) -> None:
        volume = features()
        layer(volume)
        must(torch.equal(volume, features()), "the input changes")

    _always(check, name)


CHECKS = (
    has_a_docstring,
    holds_no_parameters,
    length_is_fixed,
    constants_stay,
    frames_may_change_places,
    every_place_counts,
    gradients_reach_the_features,
    clips_do_not_mix,
    input_is_left_alone,
)
