"""How much does a decision lose when a part of the clip is hidden, and does the map know which part matters?

Hidden pixels take the value that random erasing writes in training, 0 after normalisation: the mean colour of the
normalisation, so the network has met it.

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
"""Random places at which a region's shape is hidden for comparison."""
RANDOM_MAPS: Final = 4
"""Random maps that a deletion curve is compared with."""
FRACTIONS: Final = tuple(step / 10 for step in range(11))
"""Shares of the clip that are deleted."""

Predict = Callable[[Tensor], Tensor]
"""Clips (B, 3, T, H, W) to logits (B, K)."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionEffect:
    """What hiding one region of one clip does; all NaN but the area where the crop shows nothing of it.

    Attributes:
        area: Share of the clip's pixels.
        drop: Logit of the decided class before minus after.
        elsewhere: The same for the region's shape at random places, on average.
        changes: 1.0 when the largest logit becomes another class's, else 0.0.
    """

    area: float
    drop: float
    elsewhere: float
    changes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Probability of the decided class while the clip is deleted, at `FRACTIONS`.

    Attributes:
        by_map: Most important places first.
        by_chance: The mean over `RANDOM_MAPS` maps of the same grid with their values shuffled.
        flat: The map has no relief, so its order means nothing.
    """

    by_map: Floats
    by_chance: Floats
    flat: bool

    @property
    def auc(self) -> float:
        """Area under the map's curve; low when the map finds what carries the decision (Petsiuk et al. 2018)."""
        return float(np.trapezoid(self.by_map, FRACTIONS))

    @property
    def auc_random(self) -> float:
        """Area under the curve of chance."""
        return float(np.trapezoid(self.by_chance, FRACTIONS))


def region_effects(
    predict: Predict,
    clip_CTHW: Tensor,
    target: int,
    masks: Mapping[str, NDArray[np.bool_]],
    rng: np.random.Generator,
) -> dict[str, RegionEffect]:
    """Hide each region alone.

    Args:
        predict: Logits of variants of the clip.
        clip_CTHW: The normalised clip.
        target: Class that was decided.
        masks: Each region's pixels (T, H, W).
        rng: Draws the random places: the mask is shifted around the frame, leaving it on one side and coming back on
            the other, so its area and its course over time stay what they are.
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
    """Delete ever larger parts of a clip, in the order of its map and in random orders of the same coarseness.

    A random order comes from the map's own cells, shuffled and enlarged the same way: deleting single random pixels
    would be another kind of damage, and the comparison would be with that.

    Args:
        predict: Logits of variants of the clip.
        clip_CTHW: The normalised clip.
        target: Class that was decided.
        map_THW: Its map on the grid of the features.
        rng: Shuffles.
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
    """Probability of the class when the first `FRACTIONS` of an order of voxels are hidden."""
    n, variants = len(order), []
    for fraction in FRACTIONS:
        hidden = torch.zeros(n, dtype=torch.bool)
        hidden[order[: round(fraction * n)]] = True
        variants.append(_hide(clip_CTHW, hidden.view(clip_CTHW.shape[1:])))
    probs_B = predict(torch.stack(variants)).double().softmax(dim=1)[:, target]
    return np.asarray(probs_B.cpu().numpy())


def _hide(clip_CTHW: Tensor, hidden_THW: Tensor) -> Tensor:
    return clip_CTHW.masked_fill(hidden_THW.to(clip_CTHW.device), 0.0)
