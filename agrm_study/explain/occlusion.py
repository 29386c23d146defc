"""Occlusion of regions, and deletion curves that test whether a map identifies important positions.

Hidden pixels are set to 0 after normalisation (the mean colour), as in random erasing; the network has therefore seen
such regions in training.

The controls for each clip are one random position per region and one random map. Results are means over clips; for the
same cost, additional clips reduce the error more than additional random samples per clip.

Legend of axes: B variants of one clip, C colours, T frames, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agrm_study.explain.gradcam import to_clip
from agrm_study.statistics.probabilities import decide, softmax

FRACTIONS: Final = tuple(step / 6 for step in range(7))
"""Deleted fractions of the clip."""

Predict = Callable[[Tensor], Tensor]
"""Maps normalised clips (B, 3, T, H, W) to logits (B, K)."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionEffect:
    """Effect of hiding one region of one clip; if the region is outside the crop, all values except `area` are NaN.

    Attributes:
        area: Fraction of the clip's pixels.
        drop: Decrease of the predicted class's logit.
        elsewhere: Decrease of the logit when the same shape is hidden at a random position.
        changes: 1.0 if the decision changes, otherwise 0.0.
    """

    area: float
    drop: float
    elsewhere: float
    changes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Probability of the predicted class as increasing fractions of the clip (`FRACTIONS`) are deleted.

    Attributes:
        by_map: Curve with the most important positions deleted first.
        by_chance: Curve for a map with shuffled values on the same grid.
        flat: Whether the map is constant and therefore defines no order.
    """

    by_map: Floats
    by_chance: Floats
    flat: bool

    @property
    def auc(self) -> float:
        """Area under the map's curve; low if the map identifies the decisive positions (Petsiuk et al. 2018)."""
        return float(np.trapezoid(self.by_map, FRACTIONS))

    @property
    def auc_random(self) -> float:
        """Area under the curve of the shuffled map."""
        return float(np.trapezoid(self.by_chance, FRACTIONS))


def region_effects(
    predict: Predict,
    clip_CTHW: Tensor,
    logits_K: Tensor,
    target: int,
    masks: Mapping[str, NDArray[np.bool_]],
    rng: np.random.Generator,
) -> dict[str, RegionEffect]:
    """Effect of hiding each region separately; two forward passes per region.

    Args:
        predict: Computes the logits of variants of the clip.
        clip_CTHW: The normalised clip.
        logits_K: Logits of the whole clip.
        target: The predicted class.
        masks: Pixels (T, H, W) of each region.
        rng: Random generator for the positions. The mask is shifted cyclically within the frame, which preserves its
            area and its motion over time.
    """
    variants, drawn = [], {name: mask for name, mask in masks.items() if mask.any()}
    for mask in drawn.values():
        shift = rng.integers(0, mask.shape[1:]).tolist()
        hidden = (mask, np.roll(mask, tuple(shift), axis=(1, 2)))
        variants += [_hide(clip_CTHW, torch.from_numpy(each)) for each in hidden]
    effects = {
        name: RegionEffect(area=0.0, drop=np.nan, elsewhere=np.nan, changes=np.nan)
        for name in masks
        if name not in drawn
    }
    if variants:
        whole_K = logits_K.double().cpu().numpy()
        logits_BK = predict(torch.stack(variants)).double().cpu().numpy()
        drops_B = whole_K[target] - logits_BK[:, target]
        for number, (name, mask) in enumerate(drawn.items()):
            effects[name] = RegionEffect(
                area=float(mask.mean()),
                drop=float(drops_B[2 * number]),
                elsewhere=float(drops_B[2 * number + 1]),
                changes=float(decide(softmax(logits_BK[2 * number])) != decide(softmax(whole_K))),
            )
    return {name: effects[name] for name in masks}


def deletion_curve(
    predict: Predict,
    clip_CTHW: Tensor,
    ends_2K: Tensor,
    target: int,
    map_THW: Tensor,
    rng: np.random.Generator,
) -> Deletion:
    """Delete increasing fractions of a clip, in the order of its map and in a random order of the same resolution.

    The random order is obtained by shuffling the cells of the map and resizing it in the same way. Deleting individual
    random pixels would not be comparable, because it changes the clip differently. Requires one forward pass per
    fraction and order, except at the ends of the curves.

    Args:
        predict: Computes the logits of variants of the clip.
        clip_CTHW: The normalised clip.
        ends_2K: Logits of the whole clip and of a clip with all pixels hidden.
        target: The predicted class.
        map_THW: The clip's map on the grid of the features.
        rng: Random generator for shuffling the map.
    """
    _, frames, size, _ = clip_CTHW.shape
    cells = map_THW.detach().float().cpu()
    flat = bool(cells.max() <= cells.min())
    ranks = torch.arange(cells.numel(), dtype=torch.float32) if flat else cells.flatten()
    shuffled = ranks[torch.from_numpy(rng.permutation(cells.numel()))].view_as(cells)
    maps = torch.stack([shuffled if flat else cells, shuffled])
    orders = to_clip(maps, frames, size).flatten(1).argsort(dim=1, descending=True, stable=True)
    inner = [_without_first(clip_CTHW, order, fraction) for order in orders for fraction in FRACTIONS[1:-1]]
    logits_BK = torch.cat([ends_2K.double(), predict(torch.stack(inner)).double()])
    first, last, *between = logits_BK.softmax(dim=1)[:, target].cpu().tolist()
    half = len(FRACTIONS) - 2
    by_map, by_chance = (np.array([first, *part, last]) for part in (between[:half], between[half:]))
    return Deletion(by_map=by_map, by_chance=by_chance, flat=flat)


def _without_first(clip_CTHW: Tensor, order: Tensor, fraction: float) -> Tensor:
    """The clip with the first fraction of the ordered voxels hidden."""
    hidden = torch.zeros(len(order), dtype=torch.bool)
    hidden[order[: round(fraction * len(order))]] = True
    return _hide(clip_CTHW, hidden.view(clip_CTHW.shape[1:]))


def _hide(clip_CTHW: Tensor, hidden_THW: Tensor) -> Tensor:
    return clip_CTHW.masked_fill(hidden_THW.to(clip_CTHW.device), 0.0)
