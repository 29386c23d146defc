"""Average and maximum over the bins of spatial grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def pool_grids(features_BDTHW: Tensor, grids: Sequence[tuple[int, int]], combine: Literal["sum", "concat"]) -> Tensor:
    """Average and maximum of every bin of every grid, per frame (Song et al. 2026, equations 8–11).

    Bin i of n covers rows floor(i·H/n) (inclusive) to ceil((i+1)·H/n) (exclusive), and columns likewise. Every row is
    in at least one bin, adjacent bins share a row if H is not a multiple of n, and a map with fewer rows than bins
    repeats rows.

    Args:
        features_BDTHW: Feature volume.
        grids: (rows, columns) of each grid.
        combine: `sum` adds the average and maximum of a bin; `concat` concatenates them along D (averages first).

    Returns:
        Pooled bins (B, D or 2D, T, N), ordered by grid and row-major within a grid.
    """
    frames = features_BDTHW.shape[2]
    places = []
    for rows, columns in grids:
        if features_BDTHW.is_cuda and torch.are_deterministic_algorithms_enabled():
            average, maximum = by_slices(features_BDTHW, rows, columns)
        else:
            average = F.adaptive_avg_pool3d(features_BDTHW, (frames, rows, columns))
            maximum = F.adaptive_max_pool3d(features_BDTHW, (frames, rows, columns))
        both = average + maximum if combine == "sum" else torch.cat((average, maximum), dim=1)
        places.append(both.flatten(3))
    return places[0] if len(places) == 1 else torch.cat(places, dim=3)


def by_slices(features_BDTHW: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Average and maximum (B, D, T, rows, columns) of every bin, from slices.

    The backward pass of torch's adaptive pooling is not deterministic on a GPU; this function is slower, but its
    backward pass is deterministic.
    """
    height, width = features_BDTHW.shape[3:]
    averages, maxima = [], []
    for row in range(rows):
        for column in range(columns):
            top, bottom = row * height // rows, -(-(row + 1) * height // rows)
            left, right = column * width // columns, -(-(column + 1) * width // columns)
            places_BDTN = features_BDTHW[:, :, :, top:bottom, left:right].flatten(3)
            averages.append(places_BDTN.mean(dim=3))
            maxima.append(places_BDTN.max(dim=3).values)
    shape = (*features_BDTHW.shape[:3], rows, columns)
    return torch.stack(averages, dim=3).reshape(shape), torch.stack(maxima, dim=3).reshape(shape)
