"""The settings of augmentation: the weak view, the strong view, and which network receives which."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agrm_study.study.section import Fraction, Section


class Weak(Section):
    """The weak view: a light random crop and a flip."""

    shift: Fraction = 0.25
    """Largest displacement of the crop from the centre, as a share of the free margin."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""


class Strong(Section):
    """The strong view; a setting of 0 disables the corresponding augmentation."""

    shift: Fraction = 1.0
    """As in the weak view; 1 reaches the whole stored frame."""
    flip: Fraction = 0.5
    """Probability of a horizontal flip."""
    brightness: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Colour jitter: factor drawn from [1-b, 1+b]; likewise contrast and saturation."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """As brightness."""
    saturation: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """As brightness."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest rotation of the hue, in turns."""
    noise: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Largest standard deviation of the Gaussian noise, in units of the [0, 1] image."""
    erase: Fraction = 0.25
    """Probability that one rectangle is erased, the same in all frames of a clip."""
    erase_area: tuple[Fraction, Fraction] = (0.02, 0.2)
    """Area of the rectangle, as shares of the frame."""
    temporal_jitter: Annotated[int, Field(ge=0, le=1000)] = 1
    """Largest displacement, in stored frames, of each sampled frame."""
    speed: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Speed factor drawn from [1-s, 1+s]."""
    reverse: Fraction = 0.0
    """Probability that a clip is shown backwards."""
    warp: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Smooth re-timing of a clip between its first and last frame: the local speed stays within [1-w, 1+w]."""
    tubes: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the patches of a grid that is hidden, the same ones in all frames of a clip (tube masking)."""
    tube_grid: Annotated[int, Field(ge=1, le=32)] = 14
    """Patches of the grid of `tubes` along each side of the frame."""


class Augment(Section):
    """Which branch receives which view."""

    strong_branch: Literal["student", "teacher", "both", "none"] = "student"
    """Branch that sees the strong view of an unlabelled clip; the other sees the weak view."""
    labelled: Literal["weak", "strong"] = "strong"
    """View of the labelled clips in training."""
    weak: Weak = Weak()
    strong: Strong = Strong()
