"""MViTv2-S, a transformer that pools its tokens between stages, assembled from torchvision's blocks.

With width 64, the stages are identical to torchvision's `mvit_v2_s`, including their state-dict keys (Li et al. 2022,
"MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", Table 1). Tokens (B, 1 + N, D), with
the class token first, are passed between stages together with the shape (T, H, W) of the N patches.
"""

from __future__ import annotations

from functools import partial
from typing import Final, final

from torch import Tensor, nn
from torchvision.models.video.mvit import MSBlockConfig, MultiscaleAttention, MultiscaleBlock, PositionalEncoding

from agrm_study.study.recipe import Model
from agrm_study.training.models.backbones.transformer import STD, Transformer

_DEPTHS: Final = (1, 2, 11, 2)
_GRID: Final = (8, 56, 56)
"""Patch grid of the published clips (16 x 224 x 224), which determines the size of the relative-position tables; the
tables are interpolated for other clips."""
_DROP_PATH: Final = 0.2
"""Stochastic depth: probability of skipping a branch; increases linearly from 0 in the first block to this value."""

Tokens = tuple[Tensor, tuple[int, int, int]]


@final
class MViT(Transformer):
    """MViTv2-S up to its final norm. Output: T/2, H/32, W/32, rounded up, without the class token.

    With `model.pooling.name: average`, the output is the class token as a volume with one position, the input of the
    published classifier; Grad-CAM is then unavailable. `model.width` scales all stages: an attention head has
    1.5 · width channels (published: 96). `model.depth` is ignored. Published dropout before the classifier: 0.5
    (`model.dropout`).

    Args:
        width: Two thirds of the number of channels per attention head.
        class_token: Whether the output is the class token instead of the patches.
    """

    def __init__(self, width: int, *, class_token: bool) -> None:
        head = 3 * width // 2
        norm = partial(nn.LayerNorm, eps=1e-6)
        blocks: list[nn.Module] = []
        channels, grid = head, list(_GRID)
        for stage, depth in enumerate(_DEPTHS):
            heads = 1 << stage
            for index in range(depth):
                stride = 2 if stage and index == 0 else 1
                shape = MSBlockConfig(
                    num_heads=heads,
                    input_channels=channels,
                    output_channels=heads * head,
                    kernel_q=[3, 3, 3],
                    kernel_kv=[3, 3, 3],
                    stride_q=[1, stride, stride],
                    stride_kv=[1, 8 // heads, 8 // heads],
                )
                blocks.append(
                    _Block(
                        grid,
                        shape,
                        residual_pool=True,
                        residual_with_cls_embed=False,
                        rel_pos_embed=True,
                        proj_after_attn=True,
                        stochastic_depth_prob=_DROP_PATH * len(blocks) / (sum(_DEPTHS) - 1),
                        norm_layer=norm,
                    )
                )
                channels, grid = heads * head, [grid[0], grid[1] // stride, grid[2] // stride]
        stages: dict[str, nn.Module] = {
            "conv_proj": nn.Conv3d(3, head, (3, 7, 7), stride=(2, 4, 4), padding=(1, 3, 3)),
            "pos_encoding": _Encoding(head, (_GRID[1], _GRID[2]), _GRID[0], rel_pos_embed=True),
            "blocks": nn.Sequential(*blocks),
            "norm": _LastNorm(channels, class_token),
        }
        super().__init__(stages, feature_dim=channels)
        self.has_positions = not class_token

    @classmethod
    def from_settings(cls, settings: Model) -> MViT:
        return cls(settings.width, class_token=settings.pooling.name == "average")

    def reset_layer(self, layer: nn.Module) -> None:
        """Initialise one layer; class token and position tables are treated like linear weights, as in torchvision."""
        if isinstance(layer, MultiscaleAttention | PositionalEncoding):
            for table in layer.parameters(recurse=False):
                nn.init.trunc_normal_(table, std=STD)
        else:
            super().reset_layer(layer)


class _Encoding(PositionalEncoding):  # type: ignore[misc]
    """Converts a volume of patches (B, D, T, H, W) to tokens and prepends the class token."""

    def forward(self, patches_BDTHW: Tensor) -> Tokens:
        frames, rows, columns = patches_BDTHW.shape[2:]
        return super().forward(patches_BDTHW.flatten(2).transpose(1, 2)), (frames, rows, columns)


class _Block(MultiscaleBlock):  # type: ignore[misc]
    """torchvision's block, with tokens and shape as one argument."""

    def forward(self, tokens: Tokens) -> Tokens:
        found: Tokens = super().forward(*tokens)
        return found


class _LastNorm(nn.LayerNorm):
    """Layer norm of the tokens, returned as a feature volume of the patches or of the class token.

    Args:
        channels: D, the number of channels.
        class_token: Whether to return the class token (B, D, 1, 1, 1) instead of the patches (B, D, T, H, W).
    """

    def __init__(self, channels: int, class_token: bool) -> None:
        super().__init__(channels, eps=1e-6)
        self.class_token = class_token

    def forward(self, tokens: Tokens) -> Tensor:  # type: ignore[override]
        tokens_BND, shape = tokens
        tokens_BDN = super().forward(tokens_BND).transpose(1, 2)
        if self.class_token:
            return tokens_BDN[:, :, :1, None, None]
        return tokens_BDN[:, :, 1:].reshape(*tokens_BDN.shape[:2], *shape)
