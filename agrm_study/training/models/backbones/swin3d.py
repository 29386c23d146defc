"""Video Swin Transformer, tiny: attention within shifted windows, assembled from torchvision's blocks.

With width 64, the stages are identical to torchvision's `swin3d_t`, whose `features` are called `layers` here (Liu et
al. 2022, "Video Swin Transformer", section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final, final

from torch import Tensor, nn
from torchvision.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torchvision.models.video.swin_transformer import PatchEmbed3d, ShiftedWindowAttention3d

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.transformer import STD, Transformer

_PATCH: Final = (2, 4, 4)
_WINDOW: Final = (8, 7, 7)
_DEPTHS: Final = (2, 2, 6, 2)
_HEADS: Final = (3, 6, 12, 24)
_DROP_PATH: Final = 0.1
"""Stochastic depth: probability of skipping a branch; increases linearly from 0 in the first block to this value."""


@final
class Swin3d(Transformer):
    """Swin3D-T up to its final norm. Output: T/2, H/32, W/32, rounded up.

    `model.width` scales all stages: an attention head has width/2 channels (published: 32), and the first stage has
    three heads. `model.depth` is ignored.

    Args:
        width: Twice the number of channels per attention head.
    """

    PUBLISHED_NAMES: ClassVar[Mapping[str, str]] = {"features": "layers"}

    def __init__(self, width: int) -> None:
        head, block = max(1, width // 2), 0
        layers: list[nn.Module] = []
        channels = _HEADS[0] * head
        patch_embed = PatchEmbed3d(list(_PATCH), embed_dim=channels, norm_layer=nn.LayerNorm)
        for stage, (depth, heads) in enumerate(zip(_DEPTHS, _HEADS, strict=True)):
            if stage:
                layers.append(PatchMerging(channels))
                channels *= 2
            blocks = []
            for index in range(depth):
                blocks.append(
                    SwinTransformerBlock(
                        channels,
                        heads,
                        window_size=list(_WINDOW),
                        shift_size=[side // 2 if index % 2 else 0 for side in _WINDOW],
                        stochastic_depth_prob=_DROP_PATH * block / (sum(_DEPTHS) - 1),
                        norm_layer=partial(nn.LayerNorm, eps=1e-5),
                        attn_layer=ShiftedWindowAttention3d,
                    )
                )
                block += 1
            layers.append(nn.Sequential(*blocks))
        stages = {"patch_embed": patch_embed, "layers": nn.Sequential(*layers), "norm": _LastNorm(channels)}
        super().__init__(stages, feature_dim=channels)

    @classmethod
    def from_settings(cls, settings: Model) -> Swin3d:
        return cls(settings.width)

    def reset_layer(self, layer: nn.Module) -> None:
        """Initialise one layer; position tables are treated like linear weights, as in torchvision."""
        if isinstance(layer, ShiftedWindowAttention3d):
            layer.define_relative_position_index()
            nn.init.trunc_normal_(layer.relative_position_bias_table, std=STD)
        else:
            super().reset_layer(layer)


class _LastNorm(nn.LayerNorm):
    """Layer norm of tokens (B, T, H, W, D), returned as a feature volume (B, D, T, H, W)."""

    def forward(self, tokens_BTHWD: Tensor) -> Tensor:
        return super().forward(tokens_BTHWD).permute(0, 4, 1, 2, 3)
