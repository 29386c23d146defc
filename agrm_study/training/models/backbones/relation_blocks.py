"""UniFormer blocks: local relations by convolution, global relations by self-attention.

A block computes x + position(x), then adds relation(norm(x)), then mlp(norm(x)) (Li et al. 2022, equations 1–3).
"""

from __future__ import annotations

from typing import Final, final

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

_MLP_RATIO: Final = 4
_EPS: Final = 1e-6
"""Epsilon of the layer norms inside blocks, as published."""


def _depthwise(channels: int, kernel: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, kernel, padding=kernel // 2, groups=channels)


@final
class LocalBlock(nn.Module):
    """Relations within tubes of 5 x 5 x 5 positions, learned and shared by all clips (equation 5).

    Args:
        channels: Channels of input and output.
        drop_path: Probability that a branch is skipped for a training clip.
    """

    def __init__(self, channels: int, drop_path: float) -> None:
        super().__init__()
        self.pos_embed = _depthwise(channels, 3)
        self.norm1 = nn.BatchNorm3d(channels)
        self.conv1 = nn.Conv3d(channels, channels, 1)
        self.attn = _depthwise(channels, 5)
        self.conv2 = nn.Conv3d(channels, channels, 1)
        self.norm2 = nn.BatchNorm3d(channels)
        self.mlp = ConvMlp(channels)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, volume_BDTHW: Tensor) -> Tensor:
        x = volume_BDTHW + self.pos_embed(volume_BDTHW)
        x = x + self.drop_path(self.conv2(self.attn(self.conv1(self.norm1(x)))))
        return x + self.drop_path(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]


@final
class GlobalBlock(nn.Module):
    """Relations between all positions of a clip by multi-head self-attention (equations 6 and 7).

    Args:
        channels: Channels of input and output; a multiple of `head_dim`.
        head_dim: Channels per attention head.
        drop_path: Probability that a branch is skipped for a training clip.
    """

    def __init__(self, channels: int, head_dim: int, drop_path: float) -> None:
        super().__init__()
        self.pos_embed = _depthwise(channels, 3)
        self.norm1 = nn.LayerNorm(channels, eps=_EPS)
        self.attn = Attention(channels, head_dim)
        self.norm2 = nn.LayerNorm(channels, eps=_EPS)
        self.mlp = TokenMlp(channels)
        self.drop_path = StochasticDepth(drop_path, mode="row")

    def forward(self, volume_BDTHW: Tensor) -> Tensor:
        x = volume_BDTHW + self.pos_embed(volume_BDTHW)
        tokens_BND = x.flatten(2).transpose(1, 2)
        tokens_BND = tokens_BND + self.drop_path(self.attn(self.norm1(tokens_BND)))
        tokens_BND = tokens_BND + self.drop_path(self.mlp(self.norm2(tokens_BND)))
        return tokens_BND.transpose(1, 2).reshape(volume_BDTHW.shape)  # type: ignore[no-any-return]


@final
class Attention(nn.Module):
    """Multi-head self-attention over tokens (B, N, D), scaled by 1/sqrt(head_dim)."""

    def __init__(self, channels: int, head_dim: int) -> None:
        super().__init__()
        self.heads = channels // head_dim
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        batch, n_tokens, channels = tokens_BND.shape
        qkv = self.qkv(tokens_BND).view(batch, n_tokens, 3, self.heads, channels // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).reshape(batch, n_tokens, channels))  # type: ignore[no-any-return]


@final
class ConvMlp(nn.Module):
    """Two 1 x 1 x 1 convolutions with a GELU in between, on a volume (B, D, T, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv3d(channels, _MLP_RATIO * channels, 1)
        self.fc2 = nn.Conv3d(_MLP_RATIO * channels, channels, 1)

    def forward(self, volume_BDTHW: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(volume_BDTHW)))  # type: ignore[no-any-return]


@final
class TokenMlp(nn.Module):
    """Two linear layers with a GELU in between, on tokens (B, N, D)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, _MLP_RATIO * channels)
        self.fc2 = nn.Linear(_MLP_RATIO * channels, channels)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens_BND)))  # type: ignore[no-any-return]
