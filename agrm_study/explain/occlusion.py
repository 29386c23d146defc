"""Occlusion of regions, and deletion curves that test whether a map identifies important positions.

Hidden pixels are set to 0 after normalisation, the mean colour, as in random erasing during training; the network is
therefore familiar with them.

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

PLACES: Final = 4
"""Number of random positions at which a region's shape is hidden for comparison."""
RANDOM_MAPS: Final = 4
"""Number of random maps with which a deletion curve is compared."""
FRACTIONS: Final = tuple(step / 10 for step in range(11))
"""Deleted fractions of the clip."""

Predict = Callable[[Tensor], Tensor]
"""Maps normalised clips (B, 3, T, H, W) to logits (B, K)."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionEffect:
    """Effect of hiding one region of one clip; NaN except for `area` if the region is outside the crop.

    Attributes:
        area: Fraction of the clip's pixels.
        drop: Decrease of the predicted class's logit.
        elsewhere: Mean decrease when the region's shape is hidden at random positions.
        changes: 1.0 if the class with the largest logit changes, otherwise 0.0.
    """

    area: float
    drop: float
    elsewhere: float
    changes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Probability of the predicted class as the clip is deleted, at `FRACTIONS`.

    Attributes:
        by_map: Curve with the most important positions deleted first.
        by_chance: Mean curve of `RANDOM_MAPS` maps with shuffled values on the same grid.
        flat: Whether the map is constant, so that its order is meaningless.
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
        """Area under the curve of the shuffled maps."""
        return float(np.trapezoid(self.by_chance, FRACTIONS))


def region_effects(
    predict: Predict,
    clip_CTHW: Tensor,
    target: int,
    masks: Mapping[str, NDArray[np.bool_]],
    rng: np.random.Generator,
) -> dict[str, RegionEffect]:
    """Effect of hiding each region separately.

    Args:
        predict: Computes the logits of variants of the clip.
        clip_CTHW: The normalised clip.
        target: The predicted class.
        masks: Pixels (T, H, W) of each region.
        rng: Draws the random positions, by which the mask is shifted cyclically within the frame, so that its area and
            its motion over time are preserved.
    """
    variants, drawn = [clip_CTHW], {name: mask for name, mask in masks.items() if mask.any()}
    for mask in drawn.values():
        shifts = rng.integers(0, mask.shape[1:], size=(PLACES, 2))
        hidden = [mask, *(np.roll(mask, tuple(shift), axis=(1, 2)) for shift in shifts.tolist())]
        variants += [_hide(clip_CTHW, torch.from_numpy(each)) for each in hidden]
    logits_BK = predict(torch.stack(variants)).double().cpu().numpy()
    drops_B = logits_BK[0, target] - logits_BK[:, target]
    decided_B = logits_BK.argmax(axis=1)
    effects = {
        name: RegionEffect(area=0.0, drop=np.nan, elsewhere=np.nan, changes=np.nan)
        for name in masks
        if name not in drawn
    }
    for number, (name, mask) in enumerate(drawn.items()):
        first = 1 + number * (1 + PLACES)
        effects[name] = RegionEffect(
            area=float(mask.mean()),
            drop=float(drops_B[first]),
            elsewhere=float(drops_B[first + 1 : first + 1 + PLACES].mean()),
            changes=float(decided_B[first] != decided_B[0]),
        )
    return {name: effects[name] for name in masks}


def deletion_curve(
    predict: Predict, clip_CTHW: Tensor, target: int, map_THW: Tensor, rng: np.random.Generator
) -> Deletion:
    """Delete increasing fractions of a clip, in the order of its map and in random orders of the same resolution.

    A random order results from shuffling the cells of the map and resizing it in the same way. Deleting single random
    pixels would not be comparable, because it damages the clip differently.

    Args:
        predict: Computes the logits of variants of the clip.
        clip_CTHW: The normalised clip.
        target: The predicted class.
        map_THW: The clip's map on the grid of the features.
        rng: Shuffles the maps.
    """
    _, frames, size, _ = clip_CTHW.shape
    cells = map_THW.detach().float().cpu()
    flat = bool(cells.max() <= cells.min())
    ranks = torch.arange(cells.numel(), dtype=torch.float32) if flat else cells.flatten()
    shuffled = [ranks[torch.from_numpy(rng.permutation(cells.numel()))].view_as(cells) for _ in range(RANDOM_MAPS)]
    maps = torch.stack([shuffled[0] if flat else cells, *shuffled])
    orders = to_clip(maps, frames, size).flatten(1).argsort(dim=1, descending=True, stable=True)
    curves = np.stack([_curve(predict, clip_CTHW, target, order) for order in orders])
    return Deletion(by_map=curves[0], by_chance=curves[1:].mean(axis=0), flat=flat)


def _curve(predict: Predict, clip_CTHW: Tensor, target: int, order: Tensor) -> Floats:
    """Probability of the class with the first `FRACTIONS` of the ordered voxels hidden."""
    n, variants = len(order), []
    for fraction in FRACTIONS:
        hidden = torch.zeros(n, dtype=torch.bool)
        hidden[order[: round(fraction * n)]] = True
        variants.append(_hide(clip_CTHW, hidden.view(clip_CTHW.shape[1:])))
    probs_B = predict(torch.stack(variants)).double().softmax(dim=1)[:, target]
    return np.asarray(probs_B.cpu().numpy())


def _hide(clip_CTHW: Tensor, hidden_THW: Tensor) -> Tensor:
    return clip_CTHW.masked_fill(hidden_THW.to(clip_CTHW.device), 0.0)
