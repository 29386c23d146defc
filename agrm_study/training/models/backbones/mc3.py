"""MC3, a mixed-convolution network: 3D convolutions in the stem and the first stage, 2D convolutions afterwards."""

from __future__ import annotations

from typing import final

from torchvision.models.video.resnet import Conv3DNoTemporal, Conv3DSimple

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.base import Backbone
from agrm_study.training.models.backbones.residual import residual_stages, simple_stem


@final
class Mc3(Backbone):
    """MC3 (Tran et al. 2018); torchvision's `mc3_18` for width 64 and depth 18. Output: T, H/16, W/16."""

    @classmethod
    def from_settings(cls, settings: Model) -> Mc3:
        width = settings.width
        stages = residual_stages(simple_stem(width), [Conv3DSimple] + [Conv3DNoTemporal] * 3, width, settings.depth)
        return cls(stages, feature_dim=8 * width)
