"""Uncertainty of pseudo-labels: spread of multiple predictions of the labelling network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


def spread(probs_PBK: Tensor, labels_B: Tensor) -> Tensor:
    """Sample standard deviation, over P predictions, of the probability of each clip's pseudo-label (B,).

    (Rizve et al. 2021, UPS: the uncertainty is the standard deviation over stochastic passes of the network; their code
    divides by P − 1 and accepts values below 0.05.)

    Args:
        probs_PBK: Class probabilities of P ≥ 2 predictions.
        labels_B: Pseudo-labels.
    """
    of_label_PB = probs_PBK.gather(2, labels_B[None, :, None].expand(len(probs_PBK), -1, 1)).squeeze(2)
    return of_label_PB.std(dim=0, correction=1)


@contextmanager
def dropping(network: nn.Module) -> Iterator[None]:
    """Context in which a network's dropout layers are active; all other layers keep their mode."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    modes = [layer.training for layer in layers]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer, mode in zip(layers, modes, strict=True):
            layer.training = mode
