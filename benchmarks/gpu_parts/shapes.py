"""Shapes of the GPU benchmark: the paper's shape on a GPU, a small shape without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agrm_study.study.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Shape of the clips of a step; the network is the paper's R3D-18 of width 64 in both shapes.

    Attributes:
        name: ``paper`` or ``small``.
        frames: Frames per clip.
        size: Side length of a clip, in pixels.
        batch: Labelled clips per step; the number of unlabelled clips is the same.
        steps: Timed steps per precision, after `warm_up` untimed steps.
        warm_up: Untimed steps for kernel selection and memory allocation.
        product: Number of rows of the square matrices whose product measures the attainable FLOP/s.
    """

    name: str
    frames: int
    size: int
    batch: int
    steps: int
    warm_up: int
    product: int

    def recipe(self, **settings: Any) -> Recipe:
        """The base recipe with this shape."""
        values = {
            "clip": {"frames": self.frames, "resize": self.size * 8 // 7, "size": self.size},
            "model": {"width": 64, "depth": 18},
            "batch": {"labelled": self.batch, "unlabelled": self.batch},
        }
        return Recipe.model_validate(values | settings)


PAPER = Shape(name="paper", frames=16, size=224, batch=16, steps=8, warm_up=3, product=8192)
SMALL = Shape(name="small", frames=4, size=32, batch=2, steps=2, warm_up=1, product=512)
