"""Spatial Hierarchical Pooling Module (SHPM)."""

from __future__ import annotations

from typing import final

from torch import Tensor

from agrm_study.training.models.pooling.base import Pooling
from agrm_study.training.models.pooling.grids import pool_grids


@final
class SpatialHierarchicalPooling(Pooling):
    """Average and maximum of every bin of a pyramid of grids (Song et al. 2026, section 2.5).

    The bins are concatenated and classified by one linear layer. With grids 1x1, 2x2 and 4x4, 512 channels and three
    classes, the classifier has 21 · 512 · 3 + 3 parameters; together with the 33,166,272 parameters of the R3D-18
    backbone, the network has 33,198,531 parameters.
    """

    def pool_space(self, features_BDTHW: Tensor) -> Tensor:
        return pool_grids(features_BDTHW, self.settings.bins, self.settings.combine)
