"""Augmentation settings: the weak view, the strong view, and the assignment of views to networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agrm_study.study.section import Fraction, Section


class Weak(Section):
    """The weak view: a light random crop and a flip."""

    shift: Fraction = 0.25
    """Maximum displacement of the crop from the centre, as a share of the free margin."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""


class Strong(Section):
    """The strong view; a setting of 0 disables the corresponding augmentation."""

    shift: Fraction = 1.0
    """Maximum displacement of the crop from the centre, as a share of the free margin; 1 covers the whole stored
    frame."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""
    brightness: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Colour jitter: the brightness factor is sampled from [1-b, 1+b]."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Colour jitter of the contrast, sampled like the brightness."""
    saturation: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Colour jitter of the saturation, sampled like the brightness."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Maximum rotation of the hue, in turns."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Maximum standard deviation of the Gaussian noise, for images in [0, 1]."""
    erase: Fraction = 0.25
    """Probability of erasing one rectangle, the same in all frames of a clip."""
    erase_area: tuple[Fraction, Fraction] = (0.02, 0.2)
    """Range of the area of the rectangle, as shares of the frame."""
    temporal_jitter: Annotated[int, Field(ge=0, le=1000)] = 1
    """Maximum temporal displacement of each sampled frame, in stored frames."""
    speed: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Speed change: the speed factor is sampled from [1-s, 1+s]."""
    reverse: Fraction = 0.0
    """Probability that a clip is reversed in time."""
    warp: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Strength of the smooth temporal warp of a clip between its first and last frame: the local speed is in [1-w,
    1+w]."""
    tubes: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the patches of a grid that are masked, with the same patches in all frames of a clip (tube masking)."""
    tube_grid: Annotated[int, Field(ge=1, le=32)] = 14
    """Number of patches of the grid of `tubes` along each side of the frame."""


class Augment(Section):
    """Assignment of views to branches."""

    strong_branch: Literal["student", "teacher", "both", "none"] = "student"
    """Branch that receives the strong view of an unlabelled clip; the other branch receives the weak view."""
    labelled: Literal["weak", "strong"] = "strong"
    """View of the labelled clips in training."""
    weak: Weak = Weak()
    strong: Strong = Strong()
