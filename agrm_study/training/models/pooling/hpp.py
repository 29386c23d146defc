"""Horizontal pyramid pooling."""

from __future__ import annotations

from typing import final

from torch import Tensor

from agrm_study.training.models.pooling.base import Pooling
from agrm_study.training.models.pooling.grids import pool_grids


@final
class HorizontalPyramidPooling(Pooling):
    """Average and maximum of horizontal stripes (Fu et al. 2019), with the row counts of `bins` and one column."""

    def pool_space(self, features_BDTHW: Tensor) -> Tensor:
        stripes = [(rows, 1) for rows, _ in self.settings.bins]
        return pool_grids(features_BDTHW, stripes, self.settings.combine)
