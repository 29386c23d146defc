"""Evaluation of networks on centre crops of evenly spaced windows, with probabilities averaged per subject."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from agrm_study.study.recipe import Clip
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.augment.temporal import spread_windows
from agrm_study.training.augment.views import View, centre_view
from agrm_study.training.clipset import ClipSet, Store
from agrm_study.training.device import Device
from agrm_study.training.metrics import classification_metrics, decide
from agrm_study.training.ssl.losses.supervised import SupervisedLoss
from agrm_study.training.temperature import subject_log_probs

Ints = NDArray[np.int64]
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The evaluated windows of a part.

    Attributes:
        clips: The clips, one row per window.
        view: Frames and centre crops of the windows.
        names: Names of the windows, ``clip_id#window``, unique within the part.
        owners_N: Index of each window's subject in `subjects`.
        subjects: Subject ids.
        labels_S: Class index of each subject.
    """

    clips: ClipSet
    view: View
    names: tuple[str, ...]
    owners_N: Ints
    subjects: tuple[str, ...]
    labels_S: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Score of a network on a part.

    Attributes:
        loss: Mean cross-entropy over subjects.
        metrics: accuracy, balanced_accuracy and macro_f1, in [0, 1]; empty if the loss is not finite.
    """

    loss: float
    metrics: dict[str, float]

    def value(self, metric: str) -> float:
        """The metric with the given name, or the loss for ``loss``."""
        return self.loss if metric == "loss" else self.metrics[metric]


def spread(clips: ClipSet, clip: Clip, count: int) -> Windows:
    """Up to `count` windows per clip, spread evenly over the video; one window for videos no longer than a clip."""
    starts = [spread_windows(int(length), clip.frames, count) for length in clips.lengths_N]
    rows = np.repeat(np.arange(len(clips)), [len(of_clip) for of_clip in starts])
    repeated = clips.take(rows)
    names = tuple(f"{clip_id}#{k}" for clip_id, of in zip(clips.clip_ids, starts, strict=True) for k in range(len(of)))
    subjects = tuple(dict.fromkeys(clips.subject_ids))
    place = {subject: index for index, subject in enumerate(subjects)}
    label_of = dict(zip(clips.subject_ids, clips.labels_N.tolist(), strict=True))
    return Windows(
        clips=repeated,
        view=centre_view(
            np.concatenate([np.empty(0, dtype=np.int64), *starts]), repeated.geometry(clip.frames, clip.size)
        ),
        names=names,
        owners_N=np.array([place[subject] for subject in repeated.subject_ids], dtype=np.int64),
        subjects=subjects,
        labels_S=np.array([label_of[subject] for subject in subjects], dtype=np.int64),
    )


class Evaluator:
    """Runs networks over windows.

    Args:
        store: Clip store.
        renderer: Normalises the frames.
        device: Device of the networks.
        loss: Converts outputs to logits.
        size: Side of the crops, in pixels.
        batch: Number of windows per forward pass.
    """

    def __init__(
        self, *, store: Store, renderer: Renderer, device: Device, loss: SupervisedLoss, size: int, batch: int
    ) -> None:
        self._store, self._renderer, self._device, self._loss = store, renderer, device, loss
        self._size, self._batch = size, batch

    @torch.inference_mode()
    def logits(self, networks: Mapping[Name, nn.Module], windows: Windows) -> dict[Name, NDArray[np.float32]]:
        """Logits (N, K) of each network in eval mode.

        Each window is read only once, and the previous modes of the networks are restored afterwards.
        """
        was_training = {name: network.training for name, network in networks.items()}
        outputs: dict[Name, list[torch.Tensor]] = {name: [] for name in networks}
        try:
            for network in networks.values():
                network.eval()
            for first in range(0, len(windows.clips), self._batch):
                rows = np.arange(first, min(first + self._batch, len(windows.clips)))
                view = windows.view.take(rows)
                crops = self._store.gather(
                    windows.clips.rows_N[rows], view.frames_NT, view.tops_N, view.lefts_N, self._size
                )
                clips_BCTHW = self._renderer(self._device.upload(crops), view)
                for name, network in networks.items():
                    with self._device.autocast():
                        outputs_BO = network(clips_BCTHW)
                    outputs[name].append(self._loss.logits(outputs_BO))
        finally:
            for name, network in networks.items():
                network.train(was_training[name])
        return {name: torch.cat(parts).float().cpu().numpy() for name, parts in outputs.items()}


def score(logits_NK: NDArray[np.float32], windows: Windows) -> Score:
    """Loss and metrics of a network on a part, with one decision per subject."""
    log_probs_SK = subject_log_probs(logits_NK, windows.owners_N, len(windows.subjects))
    loss = float(-log_probs_SK[np.arange(len(windows.subjects)), windows.labels_S].mean())
    n_classes = log_probs_SK.shape[1]
    if not math.isfinite(loss):
        return Score(loss=loss, metrics={})
    return Score(loss=loss, metrics=classification_metrics(windows.labels_S, decide(np.exp(log_probs_SK)), n_classes))
