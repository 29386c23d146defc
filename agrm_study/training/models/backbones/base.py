"""Interface of a backbone.

Legend of axes: B clips, C colour channels (3), D features, T frames, H rows, W columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from agrm_study.study.parts.options import HasOptions
from agrm_study.study.recipe import Model


class Backbone(nn.Module, HasOptions, ABC):
    """A sequence of named stages that maps clips to a feature volume.

    The stages are the module's children, in execution order. `VideoClassifier` registers them under the same names, so
    the name of a stage prefixes its keys in a weights file; `pooling`, `dropout` and `fc` are reserved. The last stage
    returns the feature volume, which must not be modified in place afterwards because Grad-CAM hooks into it. A
    backbone accepts clips of any length and size, and every row, column and frame influences the features.

    Args:
        stages: Stages by name, in execution order.
        feature_dim: D, the number of channels of the feature volume.

    Attributes:
        has_positions: Whether the features preserve positions in the clip, as required by Grad-CAM.
    """

    CLASSIFIER_STD: ClassVar[float] = 0.01
    """Standard deviation of the classifier's initial weights."""

    PUBLISHED_NAMES: ClassVar[Mapping[str, str]] = {}
    """Stages whose names differ in published weights files: name in the file → name of the stage."""

    def __init__(self, stages: Mapping[str, nn.Module], *, feature_dim: int) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.has_positions = True
        for name, stage in stages.items():
            self.add_module(name, stage)

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Model) -> Backbone:
        """Create the backbone described by a recipe's `model` section."""

    def features(self, clips_BCTHW: Tensor) -> Tensor:
        """Feature volume (B, D, T', H', W') of normalised clips (B, 3, T, H, W)."""
        volume = clips_BCTHW
        for stage in self.children():
            volume = stage(volume)
        return volume

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        return self.features(clips_BCTHW)

    @property
    def gradcam_layer(self) -> nn.Module:
        """The stage whose output is the feature volume."""
        return list(self.children())[-1]

    def published_pooling(self, settings: Model) -> nn.Module | None:
        """The pooling used for `model.pooling.name: average`, or None for the global average.

        Overridden by backbones whose published pooling is not the global average.
        """
        return None

    def hidden_layers(self, pooled_dim: int) -> tuple[dict[str, nn.Module], int]:
        """Layers between pooling and classifier in the published network, by name, and the length of their output.

        Args:
            pooled_dim: P, the length of the pooled vector.
        """
        return {}, pooled_dim

    def reset_layer(self, layer: nn.Module) -> None:
        """Initialise the parameters of one layer (He et al. 2015, fan-out mode, as in torchvision).

        Raises:
            TypeError: If the initialisation scheme does not support this type of layer.
        """
        match layer:
            case nn.Conv3d() | nn.Linear():
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            case nn.BatchNorm3d() | nn.LayerNorm():
                layer.reset_parameters()
            case _:
                raise TypeError(f"no initial values are defined for {type(layer).__name__}")

    def reset(self, root: nn.Module) -> None:
        """Initialise every layer below `root`, in order, with torch's default CPU generator."""
        for layer in root.modules():
            if layer._parameters or layer._buffers:
                self.reset_layer(layer)
