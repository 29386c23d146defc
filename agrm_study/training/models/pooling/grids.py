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
        combine: `sum` adds average and maximum of a bin; `concat` concatenates them along D (averages first).

    Returns:
        Pooled bins (B, D or 2D, T, N), ordered by grid and row-major within a grid.
    """
    frames = features_BDTHW.shape[2]
    places = []
    for rows, columns in grids:
        average = F.adaptive_avg_pool3d(features_BDTHW, (frames, rows, columns))
        maximum = F.adaptive_max_pool3d(features_BDTHW, (frames, rows, columns))
        both = average + maximum if combine == "sum" else torch.cat((average, maximum), dim=1)
        places.append(both.flatten(3))
    return places[0] if len(places) == 1 else torch.cat(places, dim=3)
