"""Max pooling over space."""

from __future__ import annotations

from typing import final

from torch import Tensor

from agrm_study.training.models.pooling.base import Pooling


@final
class MaxPooling(Pooling):
    """Maximum over H and W; with `temporal: max`, the global maximum."""

    def pool_space(self, features_BDTHW: Tensor) -> Tensor:
        return features_BDTHW.amax((3, 4)).unsqueeze(-1)
