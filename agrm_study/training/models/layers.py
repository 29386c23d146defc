"""Layers of a network, and parameter groups for layer-wise learning rates."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from agrm_study.training.models.network import VideoClassifier


def layers_of(network: VideoClassifier) -> list[list[nn.Module]]:
    """The network's layers, from input to output.

    A layer is a block of a stage, or a stage without blocks (such as a stem or a patch embedding). The last layer is
    the head, including the last stage if it is a norm. Modules without parameters are omitted.
    """
    layers = [[block] for name in network.stage_names for block in _blocks(network.get_submodule(name))]
    layers = [layer for layer in layers if any(True for _ in layer[0].parameters())]
    head = [network.get_submodule(name) for name in network.head_names]
    if layers and isinstance(layers[-1][0], nn.LayerNorm | _NormBase):
        head = layers.pop() + head
    return [*layers, head]


def parameter_groups(network: VideoClassifier, *, lr: float, layer_decay: float) -> list[Any]:
    """The trainable parameters, with a learning rate for each layer unless `layer_decay` is 1.

    The n-th layer below the head has the learning rate lr · layer_decayⁿ (Clark et al. 2020, "ELECTRA", appendix
    A.3; Bao et al. 2022, "BEiT"; as in the fine-tuning code of MAE, He et al. 2022).

    Args:
        network: The network.
        lr: Learning rate of the head.
        layer_decay: Ratio of the learning rates of adjacent layers.

    Returns:
        Parameters, or torch's parameter groups, starting with the head.
    """
    if layer_decay == 1.0:
        return [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = []
    for depth, layer in enumerate(reversed(layers_of(network))):
        parameters = [p for module in layer for p in module.parameters() if p.requires_grad]
        if parameters:
            groups.append({"params": parameters, "lr": lr * layer_decay**depth})
    return groups


def _blocks(module: nn.Module) -> list[nn.Module]:
    """The blocks of a stage: the modules of a plain `Sequential` if any of them has submodules; otherwise the stage."""
    children = list(module.children())
    if type(module) is not nn.Sequential or not any(True for child in children for _ in child.children()):
        return [module]
    return [block for child in children for block in _blocks(child)]
