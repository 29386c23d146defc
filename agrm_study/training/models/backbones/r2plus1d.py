"""R(2+1)D: each 3D convolution is factored into a spatial and a temporal convolution with a ReLU in between."""

from __future__ import annotations

from typing import final

from torch import nn
from torchvision.models.video.resnet import Conv2Plus1D

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.backbones.residual import residual_stages


@final
class R2Plus1d(Backbone):
    """R(2+1)D (Tran et al. 2018); torchvision's `r2plus1d_18` for width 64 and depth 18. Output: T/8, H/16, W/16."""

    @classmethod
    def from_settings(cls, settings: Model) -> R2Plus1d:
        width = settings.width
        stages = residual_stages(_stem(width), [Conv2Plus1D] * 4, width, settings.depth)
        return cls(stages, feature_dim=8 * width)


def _stem(width: int) -> nn.Sequential:
    between = 45 * width // 64  # 45 channels between the two convolutions at the published width 64
    return nn.Sequential(
        nn.Conv3d(3, between, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(inplace=True),
        nn.Conv3d(between, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )
