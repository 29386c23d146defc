"""Average pooling over space."""

from __future__ import annotations

from typing import final

from torch import Tensor

from agrm_study.training.models.pooling.base import Pooling


@final
class AveragePooling(Pooling):
    """Mean over H and W; with `temporal: mean`, the global average pooling of the published residual networks."""

    def pool_space(self, features_BDTHW: Tensor) -> Tensor:
        return features_BDTHW.mean((3, 4)).unsqueeze(-1)

    def forward(self, features_BDTHW: Tensor) -> Tensor:
        if self.settings.temporal == "mean":
            return features_BDTHW.mean(
                (2, 3, 4)
            )  # a single reduction is bit-identical to torchvision's average pooling
        return super().forward(features_BDTHW)
