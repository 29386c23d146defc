"""What must every backbone offer?

Legend of axes: B clips, C colours (3), D features, T frames, H rows, W columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from agrm_study.study.recipe import Model


class Backbone(nn.Module, ABC):
    """A chain of named stages that turns clips into a feature volume.

    The stages are the module's children, in running order. `VideoClassifier` takes them over under their own names, so
    a stage's name begins its keys in a weights file; `pooling`, `dropout` and `fc` are not free for stages.
    The last stage returns the feature volume and does not overwrite it afterwards: Grad-CAM hooks into it.
    Clips of any length and size pass, and every row, column and frame of them reaches the features.

    Args:
        stages: Stages by name, in running order.
        feature_dim: D, channels of the feature volume.
    """

    CLASSIFIER_STD: ClassVar[float] = 0.01
    """Standard deviation of the classifier's initial weights."""

    def __init__(self, stages: Mapping[str, nn.Module], *, feature_dim: int) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        for name, stage in stages.items():
            self.add_module(name, stage)

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Model) -> Backbone:
        """The backbone that a recipe's `model` section asks for."""

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
        """The pooling that `average` stands for where the published network does not take the global average."""
        return None

    def hidden_layers(self, pooled_dim: int) -> tuple[dict[str, nn.Module], int]:
        """Layers of the published head between pooling and classifier, by name, and the length of their output."""
        return {}, pooled_dim

    def reset_layer(self, layer: nn.Module) -> None:
        """Draw the initial values of one layer that holds parameters (He et al. 2015, fan out, as torchvision does).

        Raises:
            TypeError: A kind of layer that this scheme says nothing about.
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
        """Draw the initial values of every layer below `root`, in order, from torch's default CPU generator."""
        for layer in root.modules():
            if layer._parameters or layer._buffers:
                self.reset_layer(layer)
