"""Which backbones are there?

A backbone is one new file and one line here; `tests/conformance/test_backbones.py` runs over this dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agrm_study.training.registry import resolve

if TYPE_CHECKING:
    from agrm_study.training.models.backbones.base import Backbone

_HERE = "agrm_study.training.models.backbones"

BACKBONES: dict[str, str] = {
    "r3d_18": f"{_HERE}.resnet3d:ResNet3d",
    "r2plus1d_18": f"{_HERE}.r2plus1d:R2Plus1d",
    "mc3_18": f"{_HERE}.mc3:Mc3",
    "c3d": f"{_HERE}.c3d:C3d",
    "uniformer_s": f"{_HERE}.uniformer:UniFormer",
}
"""Name of `model.backbone` → `module:Class`; strings, so that reading the names does not import torch."""


def backbone_class(name: str) -> type[Backbone]:
    """The class of a backbone.

    Raises:
        InputError: Unknown name; the message lists the known ones.
    """
    return cast("type[Backbone]", resolve(BACKBONES, name, kind="backbones", field="model.backbone"))
