"""Interface of a pooling layer.

Legend of axes: B clips, D features, T frames, H rows, W columns, N bins of the pooled map, P pooled values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from agrm_study.study.parts.options import HasOptions
from agrm_study.study.recipe import Pooling as PoolingSettings


class Pooling(nn.Module, HasOptions, ABC):
    """Maps a feature volume of any height and width to a vector, without parameters.

    Each frame is pooled over space first; `temporal` selects how the frames are then combined.

    Args:
        settings: The recipe's `model.pooling` section.
        steps: T of the feature volumes; used only by `temporal: flatten`.
    """

    def __init__(self, settings: PoolingSettings, *, steps: int) -> None:
        super().__init__()
        self.settings = settings
        self.steps = steps

    @abstractmethod
    def pool_space(self, features_BDTHW: Tensor) -> Tensor:
        """Pool each frame over space to bins (B, D', T, N)."""

    def forward(self, features_BDTHW: Tensor) -> Tensor:
        """Pooled vector (B, P).

        Raises:
            ValueError: If the number of frames differs from `steps` with `temporal: flatten`.
        """
        places_BDTN = self.pool_space(features_BDTHW)
        match self.settings.temporal:
            case "mean":
                return places_BDTN.mean(2).flatten(1)
            case "max":
                return places_BDTN.amax(2).flatten(1)
            case "flatten":
                if places_BDTN.shape[2] != self.steps:
                    raise ValueError(f"must have {self.steps} feature frames, got {places_BDTN.shape[2]}")
                return places_BDTN.flatten(1)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.settings)
