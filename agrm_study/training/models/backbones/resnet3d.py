"""R3D, a residual network in which every convolution is three-dimensional."""

from __future__ import annotations

from typing import final

from torchvision.models.video.resnet import Conv3DSimple

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.backbones.residual import residual_stages, simple_stem


@final
class ResNet3d(Backbone):
    """R3D (Tran et al. 2018); torchvision's `r3d_18` for width 64 and depth 18. Output: T/8, H/16, W/16."""

    @classmethod
    def from_settings(cls, settings: Model) -> ResNet3d:
        width = settings.width
        stages = residual_stages(simple_stem(width), [Conv3DSimple] * 4, width, settings.depth)
        return cls(stages, feature_dim=8 * width)
