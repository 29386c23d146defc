"""Which pooling layers are there?

A pooling layer is one new file and one line here; `tests/conformance/test_pooling.py` runs over this dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agrm_study.training.registry import resolve

if TYPE_CHECKING:
    from agrm_study.training.models.pooling.base import Pooling

_HERE = "agrm_study.training.models.pooling"

POOLING: dict[str, str] = {
    "average": f"{_HERE}.average:AveragePooling",
    "max": f"{_HERE}.max:MaxPooling",
    "hpp": f"{_HERE}.hpp:HorizontalPyramidPooling",
    "shpm": f"{_HERE}.shpm:SpatialHierarchicalPooling",
}
"""Name of `model.pooling.name` → `module:Class`; strings, so that reading the names does not import torch."""


def pooling_class(name: str) -> type[Pooling]:
    """The class of a pooling layer.

    Raises:
        InputError: Unknown name; the message lists the known ones.
    """
    return cast("type[Pooling]", resolve(POOLING, name, kind="pooling layers", field="model.pooling.name"))
