"""UniFormer-S, a hybrid of CNN and transformer: local relations in shallow stages, global relations in deep stages.

Implemented from the description in Li et al. 2022 ("UniFormer: Unified Transformer for Efficient Spatiotemporal
Representation Learning", section 3 and Table 1). Parameter names match the published weight files.
"""

from __future__ import annotations

from typing import Final, final

import torch.nn.functional as F
from torch import Tensor, nn

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.relation_blocks import GlobalBlock, LocalBlock
from agrm_study.training.models.backbones.transformer import Transformer

_DEPTHS: Final = (3, 4, 8, 3)
_WIDTHS: Final = (1, 2, 5, 8)
"""Channels of the stages, as multiples of the width (64, 128, 320, 512 for width 64)."""
_DROP_PATH: Final = 0.1
"""Stochastic depth: probability of skipping a branch; increases linearly from 0 in the first block to this value."""


@final
class UniFormer(Transformer):
    """UniFormer-S. Output: T/2, H/32, W/32, rounded up.

    `model.width` scales all stages (published: 64) and sets the width of an attention head; `model.depth` is ignored.

    Args:
        width: Number of channels in the first stage and in each attention head.
    """

    def __init__(self, width: int) -> None:
        stages: dict[str, nn.Module] = {}
        n_blocks, block, channels = sum(_DEPTHS), 0, 3
        for index, (depth, factor) in enumerate(zip(_DEPTHS, _WIDTHS, strict=True)):
            first, n_out = index == 0, factor * width
            kernel, stride = ((3, 4, 4), (2, 4, 4)) if first else ((1, 2, 2), (1, 2, 2))
            stages[f"patch_embed{index + 1}"] = PatchEmbedding(channels, n_out, kernel, stride)
            blocks: list[nn.Module] = []
            for _ in range(depth):
                drop_path = _DROP_PATH * block / (n_blocks - 1)
                blocks.append(LocalBlock(n_out, drop_path) if index < 2 else GlobalBlock(n_out, width, drop_path))
                block += 1
            stages[f"blocks{index + 1}"] = nn.Sequential(*blocks)
            channels = n_out
        stages["norm"] = nn.BatchNorm3d(channels)
        super().__init__(stages, feature_dim=channels)

    @classmethod
    def from_settings(cls, settings: Model) -> UniFormer:
        return cls(settings.width)


class PatchEmbedding(nn.Module):
    """A strided convolution and a layer norm over the channels.

    Incomplete patches at the bottom and right edges are padded with zeros instead of being dropped.

    Args:
        n_in: Channels of the input.
        n_out: Channels of the output.
        kernel: Size of the convolution (T, H, W).
        stride: Stride of the convolution (T, H, W).
    """

    def __init__(self, n_in: int, n_out: int, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.proj = nn.Conv3d(n_in, n_out, kernel, stride=stride, padding=(kernel[0] // 2, 0, 0))
        self.norm = nn.LayerNorm(n_out)
        self.patch = stride[1]

    def forward(self, volume_BCTHW: Tensor) -> Tensor:
        missing_H, missing_W = -volume_BCTHW.shape[3] % self.patch, -volume_BCTHW.shape[4] % self.patch
        if missing_H or missing_W:
            volume_BCTHW = F.pad(volume_BCTHW, (0, missing_W, 0, missing_H))
        tokens_BTHWD = self.norm(self.proj(volume_BCTHW).permute(0, 2, 3, 4, 1))
        return tokens_BTHWD.permute(0, 4, 1, 2, 3)  # type: ignore[no-any-return]
