"""Registry of pooling layers.

To add a pooling layer, write a module and add an entry to `_SHIPPED`; `tests/conformance/test_pooling.py` tests every
entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agrm_study.study.parts.registry import Registry

if TYPE_CHECKING:
    from agrm_study.training.models.pooling.base import Pooling

_HERE = "agrm_study.training.models.pooling"

_SHIPPED: dict[str, str] = {
    "average": f"{_HERE}.average:AveragePooling",
    "max": f"{_HERE}.max:MaxPooling",
    "hpp": f"{_HERE}.hpp:HorizontalPyramidPooling",
    "shpm": f"{_HERE}.shpm:SpatialHierarchicalPooling",
}
POOLING = Registry("pooling", _SHIPPED)
"""Value of `model.pooling.name` → `module:Class`, as strings so that listing the names does not import torch."""


def pooling_class(name: str) -> type[Pooling]:
    """The class of a pooling layer.

    Raises:
        InputError: If the name is unknown; the message lists the known names.
    """
    return cast("type[Pooling]", POOLING.load(name))
