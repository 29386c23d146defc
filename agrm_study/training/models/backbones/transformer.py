"""Weight initialisation shared by the transformer backbones."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar, Final

from torch import nn

from agrm_study.training.models.backbones.base import Backbone

STD: Final = 0.02
"""Standard deviation of the initial values of linear layers and position tables."""


class Transformer(Backbone, ABC):
    """A backbone whose linear weights are initialised from a normal distribution truncated at ±2."""

    CLASSIFIER_STD: ClassVar[float] = STD

    def reset_layer(self, layer: nn.Module) -> None:
        """Initialise linear weights from a normal distribution (std 0.02), as in the published code, and other layers
        with torch's defaults.

        Raises:
            TypeError: If the initialisation scheme does not support this type of layer.
        """
        match layer:
            case nn.Linear():
                nn.init.trunc_normal_(layer.weight, std=STD)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            case nn.Conv3d() | nn.BatchNorm3d() | nn.LayerNorm():
                layer.reset_parameters()
            case _:
                raise TypeError(f"no initial values are defined for {type(layer).__name__}")
