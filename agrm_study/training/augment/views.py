"""What does a weak or a strong view of each clip look like? Drawn as numbers, before any pixel is read.

Every clip takes one row of uniform numbers, always the same count, so that neither the settings nor the number of clips
after it change what a clip is given: arms of one seed stay paired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.recipe import Strong, Weak
from agrm_study.training.augment.colour import colour_matrices, contrast_offsets
from agrm_study.training.augment.spatial import crop_positions, erase_boxes
from agrm_study.training.augment.temporal import frame_indices, random_windows

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_SINGLES = 14
"""Uniform numbers of a clip beside the two of each frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The stored frames that views are cut from, and the clip that a network sees.

    Attributes:
        lengths_N: Stored frames of each video.
        heights_N: Their height in pixels.
        widths_N: Their width.
        frames: Frames of a clip, T.
        size: Side of the crop, S.
    """

    lengths_N: Ints
    heights_N: Ints
    widths_N: Ints
    frames: int
    size: int

    def __len__(self) -> int:
        return len(self.lengths_N)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view of N clips; the same for all frames of a clip, but for `frames_NT` and `noise_starts_NT`.

    Attributes:
        frames_NT: Stored frames.
        tops_N: First row of the crop.
        lefts_N: First column of the crop.
        flips_N: Whether it is mirrored.
        matrices_N33: Colour matrix, or None when no view of these changes colours.
        mean_weights_N3: Weights of the mean colour in the common offset (see `colour`).
        sigmas_N: Standard deviation of the noise in units of the [0, 1] image, or None.
        noise_starts_NT: Where each frame's noise begins in the bank, as a fraction of its offsets.
        boxes_N4: Erased rectangle (top, left, height, width) in the crop after the flip; height 0 for none.
    """

    frames_NT: Ints
    tops_N: Ints
    lefts_N: Ints
    flips_N: NDArray[np.bool_]
    matrices_N33: Floats | None = None
    mean_weights_N3: Floats | None = None
    sigmas_N: Floats | None = None
    noise_starts_NT: Floats | None = None
    boxes_N4: Ints | None = None

    def take(self, rows_B: Ints) -> View:
        """The view of some of the clips, in the order asked for."""
        return View(
            frames_NT=self.frames_NT[rows_B],
            tops_N=self.tops_N[rows_B],
            lefts_N=self.lefts_N[rows_B],
            flips_N=self.flips_N[rows_B],
            matrices_N33=None if self.matrices_N33 is None else self.matrices_N33[rows_B],
            mean_weights_N3=None if self.mean_weights_N3 is None else self.mean_weights_N3[rows_B],
            sigmas_N=None if self.sigmas_N is None else self.sigmas_N[rows_B],
            noise_starts_NT=None if self.noise_starts_NT is None else self.noise_starts_NT[rows_B],
            boxes_N4=None if self.boxes_N4 is None else self.boxes_N4[rows_B],
        )


def draw_view(settings: Weak | Strong, rng: np.random.Generator, windows_N: Floats, geometry: Geometry) -> View:
    """A weak or strong view of every clip.

    Args:
        settings: Strengths; the class says which kind of view.
        rng: Stream of its own for this use and epoch.
        windows_N: Uniform numbers that choose the window in time; two views of a clip share them.
        geometry: What the views are cut from.
    """
    frames = geometry.frames
    uniform = rng.random((len(geometry), _SINGLES + 2 * frames))
    starts_N = random_windows(windows_N, geometry.lengths_N, frames)
    tops_N = crop_positions(geometry.heights_N, geometry.size, settings.shift, uniform[:, 0])
    lefts_N = crop_positions(geometry.widths_N, geometry.size, settings.shift, uniform[:, 1])
    flips_N = uniform[:, 2] < settings.flip
    if isinstance(settings, Weak):
        indices_NT = frame_indices(starts_N, geometry.lengths_N, frames)
        return View(frames_NT=indices_NT, tops_N=tops_N, lefts_N=lefts_N, flips_N=flips_N)

    spread = 2 * uniform - 1
    speeds_N = 1 + settings.speed * spread[:, 3] if settings.speed else None
    reach = settings.temporal_jitter
    jitter_NT = (uniform[:, _SINGLES : _SINGLES + frames] * (2 * reach + 1)).astype(np.int64) - reach if reach else None
    colour = bool(settings.brightness or settings.contrast or settings.saturation or settings.hue)
    brightness_N = 1 + settings.brightness * spread[:, 4]
    contrast_N = 1 + settings.contrast * spread[:, 5]
    saturation_N = 1 + settings.saturation * spread[:, 6]
    hue_N = settings.hue * spread[:, 7]
    return View(
        frames_NT=frame_indices(starts_N, geometry.lengths_N, frames, speeds_N, jitter_NT),
        tops_N=tops_N,
        lefts_N=lefts_N,
        flips_N=flips_N,
        matrices_N33=colour_matrices(brightness_N, contrast_N, saturation_N, hue_N) if colour else None,
        mean_weights_N3=contrast_offsets(brightness_N, contrast_N) if colour else None,
        sigmas_N=settings.noise * uniform[:, 8] if settings.noise else None,
        noise_starts_NT=uniform[:, _SINGLES + frames :] if settings.noise else None,
        boxes_N4=erase_boxes(settings.erase, settings.erase_area, geometry.size, uniform[:, 9:14])
        if settings.erase
        else None,
    )


def centre_view(starts_N: Ints, geometry: Geometry) -> View:
    """The view of evaluation: these windows, centre crop, nothing else."""
    none_N = np.zeros(len(geometry))
    return View(
        frames_NT=frame_indices(starts_N, geometry.lengths_N, geometry.frames),
        tops_N=crop_positions(geometry.heights_N, geometry.size, 0.0, none_N),
        lefts_N=crop_positions(geometry.widths_N, geometry.size, 0.0, none_N),
        flips_N=np.zeros(len(geometry), dtype=bool),
    )
