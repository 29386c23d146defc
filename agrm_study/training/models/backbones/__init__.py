"""Registry of backbones.

To add a backbone, write a module and add an entry to `_SHIPPED`; `tests/conformance/test_backbones.py` tests every
entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agrm_study.study.parts.registry import Registry

if TYPE_CHECKING:
    from agrm_study.training.models.backbones.base import Backbone

_HERE = "agrm_study.training.models.backbones"

_SHIPPED: dict[str, str] = {
    "r3d_18": f"{_HERE}.resnet3d:ResNet3d",
    "r2plus1d_18": f"{_HERE}.r2plus1d:R2Plus1d",
    "mc3_18": f"{_HERE}.mc3:Mc3",
    "c3d": f"{_HERE}.c3d:C3d",
    "uniformer_s": f"{_HERE}.uniformer:UniFormer",
    "s3d": f"{_HERE}.s3d:S3d",
    "mvit_v2_s": f"{_HERE}.mvit:MViT",
    "swin3d_t": f"{_HERE}.swin3d:Swin3d",
}
BACKBONES = Registry("backbone", _SHIPPED)
"""Value of `model.backbone` → `module:Class`, as strings so that listing the names does not import torch."""


def backbone_class(name: str) -> type[Backbone]:
    """The class of a backbone.

    Raises:
        InputError: If the name is unknown; the message lists the known names.
    """
    return cast("type[Backbone]", BACKBONES.load(name))
