"""Shapes of the GPU benchmark: the paper's on a GPU, a small one where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agrm_study.study.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Clips of a step; the network is the paper's R3D-18 of width 64 in both shapes.

    Attributes:
        name: ``paper`` or ``small``.
        frames: Of a clip.
        size: Side of a clip, in pixels.
        batch: Labelled clips of a step, and as many unlabelled ones.
        steps: Timed steps of each precision, after `warm_up` that are not timed.
        warm_up: Steps in which kernels are chosen and memory is reserved.
        product: Rows of the square matrices whose product gives the attainable FLOP/s.
    """

    name: str
    frames: int
    size: int
    batch: int
    steps: int
    warm_up: int
    product: int

    def recipe(self, **settings: Any) -> Recipe:
        """The base recipe at this shape."""
        values = {
            "clip": {"frames": self.frames, "resize": self.size * 8 // 7, "size": self.size},
            "model": {"width": 64, "depth": 18},
            "batch": {"labelled": self.batch, "unlabelled": self.batch},
        }
        return Recipe.model_validate(values | settings)


PAPER = Shape(name="paper", frames=16, size=224, batch=16, steps=8, warm_up=3, product=8192)
SMALL = Shape(name="small", frames=4, size=32, batch=2, steps=2, warm_up=1, product=512)
