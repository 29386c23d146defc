"""Parameters of weak and strong views, sampled before pixels are read.

Every clip uses one row of a fixed number of uniform random numbers. Its sampled values therefore depend neither on the
settings nor on the number of subsequent clips, which keeps arms with the same seed paired. Timing (reversal, warp) and
tube masking use separate streams, spawned from the stream of the view, and do not affect other sampled values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agrm_study.study.augment_settings import Strong, Weak
from agrm_study.training.augment.colour import colour_matrices, contrast_offsets
from agrm_study.training.augment.spatial import crop_positions, erase_boxes, hidden_patches
from agrm_study.training.augment.temporal import frame_indices, random_windows, warped_steps

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_SINGLES = 14
"""Uniform random numbers per clip, in addition to two per frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Size of the stored videos and of the network's input.

    Attributes:
        lengths_N: Number of stored frames in each video.
        heights_N: Height of the stored frames, in pixels.
        widths_N: Width of the stored frames, in pixels.
        frames: T, the number of frames per clip.
        size: S, the side of the crop in pixels.
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
    """Parameters of one view of N clips; all frames of a clip share them, except `frames_NT` and `noise_starts_NT`.

    Attributes:
        frames_NT: Indices of the stored frames.
        tops_N: First row of the crop.
        lefts_N: First column of the crop.
        flips_N: Whether the clip is mirrored horizontally.
        matrices_N33: Colour matrices, or None if no colour jitter is applied.
        mean_weights_N3: Weights of the mean colour in the offset (see `colour`), or None.
        sigmas_N: Standard deviation of the noise for images in [0, 1], or None.
        noise_starts_NT: Start of each frame's noise in the bank, as a fraction of the bank's offsets, or None.
        boxes_N4: Erased rectangle (top, left, height, width) in the flipped crop, all 0 if nothing is erased; or None.
        hidden_NGG: Whether each patch of a G×G grid over the flipped crop is hidden, or None.
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
    hidden_NGG: NDArray[np.bool_] | None = None

    def take(self, rows_B: Ints) -> View:
        """The view restricted to the given clips, in the given order."""
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
            hidden_NGG=None if self.hidden_NGG is None else self.hidden_NGG[rows_B],
        )


def draw_view(settings: Weak | Strong, rng: np.random.Generator, windows_N: Floats, geometry: Geometry) -> View:
    """Sample a weak or strong view of every clip.

    Args:
        settings: Strengths of the augmentation; the class determines the kind of view.
        rng: Random stream for this view and epoch.
        windows_N: Uniform random numbers that select the temporal window; two views of a clip share them.
        geometry: Size of the stored videos and of the crop.
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
    timing_rng, tube_rng = rng.spawn(2)
    timing_N3 = timing_rng.random((len(geometry), 3))
    steps_NT = warped_steps(settings.warp * (timing_N3[:, 1:] - 0.5), frames) if settings.warp else None
    indices_NT = frame_indices(starts_N, geometry.lengths_N, frames, speeds_N, jitter_NT, steps_NT)
    if settings.reverse:
        indices_NT = np.where(timing_N3[:, :1] < settings.reverse, indices_NT[:, ::-1], indices_NT)
    grid = settings.tube_grid
    return View(
        frames_NT=indices_NT,
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
        hidden_NGG=hidden_patches(settings.tubes, tube_rng.random((len(geometry), grid, grid)))
        if settings.tubes
        else None,
    )


def centre_view(starts_N: Ints, geometry: Geometry) -> View:
    """The view for evaluation: windows that start at `starts_N`, centre crop and no augmentation."""
    none_N = np.zeros(len(geometry))
    return View(
        frames_NT=frame_indices(starts_N, geometry.lengths_N, geometry.frames),
        tops_N=crop_positions(geometry.heights_N, geometry.size, 0.0, none_N),
        lefts_N=crop_positions(geometry.widths_N, geometry.size, 0.0, none_N),
        flips_N=np.zeros(len(geometry), dtype=bool),
    )
