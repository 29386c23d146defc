"""Stages of residual video networks, assembled from torchvision's blocks.

With width 64 and depth 18, the stages are identical to torchvision's `VideoResNet`, including their state-dict keys
(Tran et al. 2018, "A Closer Look at Spatiotemporal Convolutions for Action Recognition").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from torch import nn
from torchvision.models.video.resnet import BasicBlock

BLOCKS: Final[dict[int, tuple[int, int, int, int]]] = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Number of basic blocks in each of the four stages, by depth (He et al. 2016, Table 1)."""


def simple_stem(width: int) -> nn.Sequential:
    """A 3x7x7 convolution with spatial stride 2, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


def residual_stages(stem: nn.Module, convolutions: Sequence[Any], width: int, depth: int) -> dict[str, nn.Module]:
    """A stem and four residual stages with 1, 2, 4 and 8 times `width` channels.

    Args:
        stem: First stage; outputs `width` channels.
        convolutions: A convolution class from torchvision for each residual stage.
        width: Channels of the first residual stage.
        depth: A key of `BLOCKS`.

    Returns:
        Stages by their torchvision names: stem, layer1 … layer4.
    """
    stages: dict[str, nn.Module] = {"stem": stem}
    channels = width
    for index, (convolution, blocks) in enumerate(zip(convolutions, BLOCKS[depth], strict=True)):
        planes, stride = width << index, 1 if index == 0 else 2
        shortcut = None if index == 0 else _shortcut(channels, planes, convolution.get_downsample_stride(stride))
        first = BasicBlock(channels, planes, convolution, stride, shortcut)
        rest = (BasicBlock(planes, planes, convolution) for _ in range(blocks - 1))
        stages[f"layer{index + 1}"] = nn.Sequential(first, *rest)
        channels = planes
    return stages


def _shortcut(channels: int, planes: int, stride: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(channels, planes, 1, stride=stride, bias=False), nn.BatchNorm3d(planes))
