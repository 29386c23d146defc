"""Rendering of gathered uint8 crops as network input, one batch at a time on the batch's device.

Colour jitter, normalisation and scaling are combined into one 3×3 matrix and one offset per clip. Noise is read from a
bank. The result is written once, in the memory layout preferred by convolutions. On a CPU, large batches are processed
in groups of clips that fit in the cache.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agrm_study.training.augment.noise import NoiseBank
from agrm_study.training.augment.spatial import patch_pixels
from agrm_study.training.augment.views import View

MEAN = (0.43216, 0.394666, 0.37645)
"""Channel means (red, green, blue) of Kinetics-400 images in [0, 1], as in torchvision's video weights."""
STD = (0.22803, 0.22145, 0.216989)
"""Channel standard deviations (red, green, blue) of Kinetics-400 images in [0, 1]."""

_CACHE_VALUES = 1 << 20
"""Maximum number of values in a group of clips on a CPU."""


class Renderer:
    """Applies sampled views to gathered clips.

    Args:
        seed: Seed of the trial, used for the noise bank.
        size: S, the side of the crops in pixels.
        device: Device of the clips.
        noise: Whether views may contain noise; if not, no bank is created.
    """

    def __init__(self, seed: int, size: int, device: torch.device | str = "cpu", *, noise: bool = True) -> None:
        self.device = torch.device(device)
        self._bank = NoiseBank(seed, 3 * size * size, self.device) if noise else None
        self._mean_3 = torch.tensor(MEAN, device=self.device)
        self._std_3 = torch.tensor(STD, device=self.device)
        self._bounds = [((0.0 - m) / s, (1.0 - m) / s) for m, s in zip(MEAN, STD, strict=True)]

    @torch.no_grad()
    def __call__(self, bytes_BTCHW: Tensor, view: View) -> Tensor:
        """Render a batch.

        Args:
            bytes_BTCHW: uint8 crops on the renderer's device; clips to be mirrored are modified in place.
            view: View parameters of the same B clips.

        Returns:
            Normalised clips (B, 3, T, S, S) in float32 and channels-last memory format.
        """
        batch, frames, _, size, _ = bytes_BTCHW.shape
        for row in np.flatnonzero(view.flips_N).tolist():
            bytes_BTCHW[row] = bytes_BTCHW[row].flip(-1)
        clips_BCTHW = torch.empty(
            (batch, 3, frames, size, size), device=self.device, memory_format=torch.channels_last_3d
        )
        run = batch if self.device.type != "cpu" else max(1, _CACHE_VALUES // (frames * 3 * size * size))
        for first in range(0, batch, run):
            rows_of_run = slice(first, min(first + run, batch))
            planes = self._planes(bytes_BTCHW[rows_of_run], view, rows_of_run)
            clips_BCTHW[rows_of_run].copy_(planes.view(-1, frames, 3, size, size).transpose(1, 2))
        if view.boxes_N4 is not None:
            for row, (top, left, height, width) in enumerate(view.boxes_N4.tolist()):
                if height:
                    clips_BCTHW[row, :, :, top : top + height, left : left + width] = 0.0
        if view.hidden_NGG is not None:
            hidden_BHW = self._upload(patch_pixels(view.hidden_NGG, size))
            clips_BCTHW.masked_fill_(hidden_BHW[:, None, None], 0.0)
        return clips_BCTHW

    def _planes(self, bytes_RTCHW: Tensor, view: View, rows: slice) -> Tensor:
        """Apply colour jitter, normalisation, noise and clamping, and return float32 planes (R·T, 3, S·S)."""
        clips, frames, _, size, _ = bytes_RTCHW.shape
        values = bytes_RTCHW.to(torch.float32).view(clips * frames, 3, size * size)
        if view.matrices_N33 is None or view.mean_weights_N3 is None:
            planes = values.mul_((1 / (255 * self._std_3))[:, None]).sub_((self._mean_3 / self._std_3)[:, None])
        else:
            means_R3 = values.view(clips, frames, 3, size * size).mean(dim=(1, 3)) / 255
            shared_R1 = (self._upload(view.mean_weights_N3[rows], torch.float32) * means_R3).sum(dim=1, keepdim=True)
            offsets_R3 = (shared_R1 - self._mean_3) / self._std_3
            matrices_R33 = self._upload(view.matrices_N33[rows], torch.float32) / (255 * self._std_3)[:, None]
            planes = torch.baddbmm(
                offsets_R3.repeat_interleave(frames, dim=0)[:, :, None],
                matrices_R33.repeat_interleave(frames, dim=0),
                values,
            )
        if view.sigmas_N is not None and view.noise_starts_NT is not None and self._bank is not None:
            starts_F = (view.noise_starts_NT[rows].reshape(-1) * self._bank.offsets).astype(np.int64)
            sigmas_R3 = self._upload(view.sigmas_N[rows], torch.float32)[:, None] / self._std_3
            noise = self._bank.read(self._upload(starts_F)).view(-1, 3, size * size)
            planes.addcmul_(noise, sigmas_R3.repeat_interleave(frames, dim=0)[:, :, None])
        if view.matrices_N33 is not None or view.sigmas_N is not None:
            for channel, (low, high) in enumerate(self._bounds):
                planes[:, channel].clamp_(low, high)
        return planes

    def _upload(self, values: NDArray[np.generic], dtype: torch.dtype | None = None) -> Tensor:
        return torch.as_tensor(values, dtype=dtype).to(self.device, non_blocking=True)
