"""What is the Spatial Hierarchical Pooling Module?"""

from __future__ import annotations

from typing import final

from torch import Tensor

from agrm_study.training.models.pooling.base import Pooling
from agrm_study.training.models.pooling.grids import pool_grids


@final
class SpatialHierarchicalPooling(Pooling):
    """Average and maximum of every bin of a pyramid of grids (Song et al. 2026, section 2.5).

    All bins stand side by side in the vector and one linear layer reads them: bins 1², 2², 4² of 512 channels and three
    classes are 21 · 512 · 3 + 3 parameters on R3D-18's trunk of 33,166,272, which makes 33,198,531.
    """

    def pool_space(self, features_BDTHW: Tensor) -> Tensor:
        return pool_grids(features_BDTHW, self.settings.bins, self.settings.combine)
