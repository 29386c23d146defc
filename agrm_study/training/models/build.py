"""Construction of the network described by a recipe's `model` section, with its initial weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from agrm_study.study.errors import InputError
from agrm_study.study.parts.names import short_name
from agrm_study.study.recipe import Model
from agrm_study.training.generators import stream_seed
from agrm_study.training.models.backbones import backbone_class
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.classifier import make_classifier, reset_classifier
from agrm_study.training.models.network import VideoClassifier
from agrm_study.training.models.pooling import pooling_class

__all__ = ["VideoClassifier", "build_model", "count_parameters", "forward_gflops", "layer_names"]


def build_model(model: Model, *, n_outputs: int, frames: int, size: int, seed: int) -> VideoClassifier:
    """Build a network on the CPU with its initial weights.

    The weights are a pure function of the arguments; global random state is neither used nor changed. Backbone and head
    use separate random streams, so arms that differ in pooling or classifier start from the same backbone.
    `model.weights` is not read here; see `weights.load_weights`.

    Args:
        model: The recipe's `model` section.
        n_outputs: Number of outputs that the loss requires.
        frames: T, the number of frames per clip.
        size: Height and width of a clip, in pixels.
        seed: Seed of the trial.

    Raises:
        InputError: If the backbone or pooling layer is unknown, or a layer in `model.freeze` does not exist.
    """
    network, backbone = _assemble(model, n_outputs, frames, size)
    network.to_empty(device="cpu")
    with _stream(seed, "weights/backbone"):
        backbone.reset(backbone)
    with _stream(seed, "weights/head"):
        for name in network.head_names[:-1]:
            backbone.reset(network.get_submodule(name))
        reset_classifier(network.fc, backbone.CLASSIFIER_STD)
    network.freeze(model.freeze)
    return network


def count_parameters(model: Model, *, n_outputs: int, frames: int, size: int) -> int:
    """Number of parameters, including frozen ones, of the network that `build_model` creates, without allocating it.

    Raises:
        InputError: If the backbone or pooling layer is unknown.
    """
    network, _ = _assemble(model, n_outputs, frames, size)
    return sum(parameter.numel() for parameter in network.parameters())


@lru_cache(maxsize=32)
def layer_names(model: Model) -> tuple[str, ...]:
    """Dotted names of all layers of a backbone, the valid values of `model.freeze`.

    Raises:
        InputError: If the backbone is unknown, or a user-defined backbone cannot be built.
    """
    try:
        with torch.device("meta"):
            backbone = backbone_class(model.backbone).from_settings(model)
    except InputError:
        raise
    except Exception as error:
        name = short_name(model.backbone)
        rule = f"the backbone {name} cannot be built ({type(error).__name__}: {error})"
        raise InputError(rule, field="model.freeze", given=list(model.freeze)) from error
    return tuple(name for name, _ in backbone.named_modules() if name)


@lru_cache(maxsize=32)
def forward_gflops(model: Model, *, n_outputs: int, frames: int, size: int) -> float:
    """Floating-point operations of a forward pass for one clip, in 10⁹, as counted by torch's `FlopCounterMode`.

    A multiply-add counts as two operations; pooling, norms and activations are not counted.

    Raises:
        InputError: If the backbone or pooling layer is unknown.
    """
    network, _ = _assemble(model, n_outputs, frames, size)
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, 3, frames, size, size))
    return float(counter.get_total_flops()) / 1e9


def _assemble(model: Model, n_outputs: int, frames: int, size: int) -> tuple[VideoClassifier, Backbone]:
    """The network on the meta device (without storage), and its backbone, whose stages the network shares."""
    with torch.device("meta"):
        backbone = backbone_class(model.backbone).from_settings(model)
        with torch.no_grad():  # in training mode, batch norm rejects a single value per channel
            features = backbone.eval().features(torch.empty(1, 3, frames, size, size))
        backbone.train()
        pooling = backbone.published_pooling(model) if model.pooling.name == "average" else None
        if pooling is None:
            pooling = pooling_class(model.pooling.name)(model.pooling, steps=features.shape[2])
        hidden, n_in = backbone.hidden_layers(pooling(features).shape[1])
        classifier = make_classifier(model.classifier, n_in, n_outputs)
    return VideoClassifier(backbone, pooling, hidden, model.dropout, classifier), backbone


@contextmanager
def _stream(seed: int, purpose: str) -> Iterator[None]:
    """Seed torch's default CPU generator for one purpose, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(stream_seed(seed, purpose))
        yield
