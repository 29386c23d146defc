"""S3D, an Inception network with separate spatial and temporal convolutions, assembled from torchvision's blocks.

With width 64, the stage is identical to `features` of torchvision's `s3d`, called `layers` here (Xie et al. 2018,
"Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video Classification", Figure 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final, final

from torch import nn
from torchvision.models.video.s3d import SepInceptionBlock3D, TemporalSeparableConv
from torchvision.ops.misc import Conv3dNormActivation

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.base import Backbone

_Block = tuple[int, int, int, int, int, int]
_GROUPS: Final[tuple[tuple[_Block, ...], ...]] = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
"""Inception blocks between two pooling layers: channels of the branches at width 64. Output: entries 0, 2, 4 and 5."""
_EPSILON: Final = 0.001
"""Epsilon of the batch norms in the published network. Their momentum is torch's default of 0.1 instead of the
published 0.001, which would leave the running statistics near their initial values after a few hundred steps."""


@final
class S3d(Backbone):
    """S3D up to the last Inception block. Output: T/8, H/32, W/32, rounded up.

    `model.width` scales all layers (published: 64); `model.depth` is ignored. The last pooling layer rounds up, so that
    no row or frame is lost; this has no effect for the published 16 frames of 224 x 224. Published dropout before the
    classifier: 0.2 (`model.dropout`).

    Args:
        width: Channels of the first convolution.
    """

    PUBLISHED_NAMES: ClassVar[Mapping[str, str]] = {"features": "layers"}

    def __init__(self, width: int) -> None:
        def scaled(channels: int) -> int:
            return max(1, round(channels * width / 64))

        norm = partial(nn.BatchNorm3d, eps=_EPSILON)
        first, third = scaled(64), scaled(192)
        layers: list[nn.Module] = [
            TemporalSeparableConv(3, first, 7, 2, 3, norm),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            Conv3dNormActivation(first, first, kernel_size=1, norm_layer=norm),
            TemporalSeparableConv(first, third, 3, 1, 1, norm),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        ]
        channels = third
        for index, blocks in enumerate(_GROUPS):
            if index == 1:
                layers.append(nn.MaxPool3d(3, stride=2, padding=1))
            elif index == 2:
                layers.append(nn.MaxPool3d(2, stride=2, ceil_mode=True))
            for block in blocks:
                widths = [scaled(count) for count in block]
                layers.append(SepInceptionBlock3D(channels, *widths, norm))
                channels = widths[0] + widths[2] + widths[4] + widths[5]
        super().__init__({"layers": nn.Sequential(*layers)}, feature_dim=channels)

    @classmethod
    def from_settings(cls, settings: Model) -> S3d:
        return cls(settings.width)

    def reset_layer(self, layer: nn.Module) -> None:
        """Initialise one layer with torch's defaults, as in torchvision."""
        if not isinstance(layer, nn.Conv3d | nn.BatchNorm3d):
            raise TypeError(f"no initial values are defined for {type(layer).__name__}")
        layer.reset_parameters()
