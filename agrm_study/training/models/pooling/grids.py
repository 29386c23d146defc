"""What are average and maximum of each bin of a grid laid over a feature map?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


def pool_grids(features_BDTHW: Tensor, grids: Sequence[tuple[int, int]], combine: Literal["sum", "concat"]) -> Tensor:
    """Average and maximum of every bin of every grid, frame by frame (Song et al. 2026, equations 8–11).

    Bin i of n spans rows floor(i·H/n) up to, not including, ceil((i+1)·H/n), columns likewise: every row is in some
    bin, neighbours share a row where H is no multiple of n, and a map with fewer rows than bins repeats rows.

    Args:
        features_BDTHW: Feature volume.
        grids: (rows, columns) of each grid.
        combine: `sum` adds average and maximum of a bin; `concat` puts them side by side in D (averages first).

    Returns:
        Places (B, D or 2D, T, N), N over grids in order, rows before columns within a grid.
    """
    frames = features_BDTHW.shape[2]
    places = []
    for rows, columns in grids:
        average = F.adaptive_avg_pool3d(features_BDTHW, (frames, rows, columns))
        maximum = F.adaptive_max_pool3d(features_BDTHW, (frames, rows, columns))
        both = average + maximum if combine == "sum" else torch.cat((average, maximum), dim=1)
        places.append(both.flatten(3))
    return places[0] if len(places) == 1 else torch.cat(places, dim=3)
