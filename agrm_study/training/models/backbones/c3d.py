"""C3D: eight 3x3x3 convolutions, five max-pooling layers and two hidden layers (Tran et al. 2015).

Layers have their published names (conv1 … conv5b, fc6, fc7). Pooling layers round up, so that no row or frame is lost
for short clips and sizes not divisible by 16; this has no effect for the published 16 frames and sizes divisible by 16.
"""

from __future__ import annotations

from typing import Final, Literal, final

import torch.nn.functional as F
from torch import Tensor, nn

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.base import Backbone

_PLAN: Final = (("1",), ("2",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b"))
"""Convolutions of the five groups, which are separated by pooling layers."""
_WIDTHS: Final = (1, 2, 4, 8, 8)
"""Channels of the groups, as multiples of the channels of the first group."""
_GRID: Final = (1, 4, 4)
"""Output size of the fifth pooling layer for the published 16 x 112 x 112 clips."""
_DROPOUT: Final = 0.5
"""Published dropout after each hidden layer."""


@final
class C3d(Backbone):
    """C3D up to the ReLU of conv5b; `pool5` is part of the head. Output: T/8, H/16, W/16.

    With `model.pooling.name: average`, the published head (`C3dPooling`) is used; other pooling layers replace the
    fifth pooling layer. `model.depth` is ignored; `model.width` scales all layers (published: 64).

    Args:
        width: Channels of conv1; the hidden layers have 64 times as many units.
    """

    def __init__(self, width: int) -> None:
        stages: dict[str, nn.Module] = {}
        channels = 3
        for group, (names, factor) in enumerate(zip(_PLAN, _WIDTHS, strict=True)):
            if group:
                kernel = (1, 2, 2) if group == 1 else (2, 2, 2)
                stages[f"pool{group}"] = nn.MaxPool3d(kernel, stride=kernel, ceil_mode=True)
            for name in names:
                stages[f"conv{name}"] = nn.Conv3d(channels, factor * width, 3, padding=1)
                channels = factor * width
                stages[f"relu{name}"] = nn.ReLU(inplace=name != "5b")
        super().__init__(stages, feature_dim=channels)
        self.hidden_dim = 64 * width

    @classmethod
    def from_settings(cls, settings: Model) -> C3d:
        return cls(settings.width)

    def published_pooling(self, settings: Model) -> nn.Module:
        return C3dPooling(settings.head)

    def hidden_layers(self, pooled_dim: int) -> tuple[dict[str, nn.Module], int]:
        layers: dict[str, nn.Module] = {}
        n_in = pooled_dim
        for number in (6, 7):
            layers[f"fc{number}"] = nn.Linear(n_in, self.hidden_dim)
            layers[f"relu{number}"] = nn.ReLU(inplace=True)
            layers[f"drop{number}"] = nn.Dropout(_DROPOUT)
            n_in = self.hidden_dim
        return layers, n_in

    def reset_layer(self, layer: nn.Module) -> None:
        """Initialise one layer (He et al. 2015, fan-in mode, which preserves activation scales without batch norm)."""
        if not isinstance(layer, nn.Conv3d | nn.Linear):
            raise TypeError(f"no initial values are defined for {type(layer).__name__}")
        nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


@final
class C3dPooling(nn.Module):
    """The published fifth pooling layer, followed by flattening to a vector (B, P).

    Args:
        head: `flatten` keeps the pooled grid, so the first hidden layer grows with the clip; `adaptive` averages the
            grid to 1 x 4 x 4 (the published grid for 16 x 112 x 112), so the network's size does not depend on the
            clip.
    """

    def __init__(self, head: Literal["flatten", "adaptive"]) -> None:
        super().__init__()
        self.head = head

    def forward(self, features_BDTHW: Tensor) -> Tensor:
        grid = F.max_pool3d(features_BDTHW, 2, stride=2, padding=(0, 1, 1), ceil_mode=True)
        if self.head == "adaptive":
            grid = F.adaptive_avg_pool3d(grid, _GRID)
        return grid.flatten(1)

    def extra_repr(self) -> str:
        return f"head={self.head}"
