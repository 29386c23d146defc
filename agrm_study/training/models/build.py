"""How does a recipe's `model` section become a network with its initial weights?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from agrm_study.study.recipe import Model
from agrm_study.training.generators import stream_seed
from agrm_study.training.models.backbones import backbone_class
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.classifier import make_classifier, reset_classifier
from agrm_study.training.models.network import VideoClassifier
from agrm_study.training.models.pooling import pooling_class

__all__ = ["VideoClassifier", "build_model", "count_parameters"]


def build_model(model: Model, *, n_outputs: int, frames: int, size: int, seed: int) -> VideoClassifier:
    """A network on the CPU with its initial weights.

    The weights are a pure function of the arguments; no global random state is read or moved. Backbone and head draw
    from streams of their own, so arms that differ in pooling or classifier start from the same backbone.
    `model.weights` is not read here: that is `load_weights`.

    Args:
        model: The recipe's `model` section.
        n_outputs: K, outputs that the loss asks for.
        frames: T of the clips.
        size: Height and width of the clips, pixels.
        seed: The trial's seed.

    Raises:
        InputError: Unknown backbone or pooling.
    """
    network, backbone = _assemble(model, n_outputs, frames, size)
    network.to_empty(device="cpu")
    with _stream(seed, "weights/backbone"):
        backbone.reset(backbone)
    with _stream(seed, "weights/head"):
        for name in network.head_names[:-1]:
            backbone.reset(network.get_submodule(name))
        reset_classifier(network.fc, backbone.CLASSIFIER_STD)
    return network


def count_parameters(model: Model, *, n_outputs: int, frames: int, size: int) -> int:
    """Trainable parameters of the network that `build_model` would make; takes no memory for them.

    Raises:
        InputError: As `build_model`.
    """
    network, _ = _assemble(model, n_outputs, frames, size)
    return sum(parameter.numel() for parameter in network.parameters())


def _assemble(model: Model, n_outputs: int, frames: int, size: int) -> tuple[VideoClassifier, Backbone]:
    """The network without storage (on the meta device), and its backbone, whose stages the network shares."""
    with torch.device("meta"):
        backbone = backbone_class(model.backbone).from_settings(model)
        with torch.no_grad():  # in evaluation mode: batch norm refuses a single place in training mode
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
    """torch's default CPU generator set to a stream of its own, and put back afterwards."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(stream_seed(seed, purpose))
        yield
