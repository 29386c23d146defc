"""Reloads a finished trial's network, and verifies its outputs on the test part against the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from agrm_study.explain.trials import FinishedTrial
from agrm_study.records.integrity import check_weights
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.training.augment.pixels import Renderer
from agrm_study.training.clipset import Store, clip_set
from agrm_study.training.data.manifest import Manifest
from agrm_study.training.data.splits import Split
from agrm_study.training.device import Device
from agrm_study.training.evaluate import Evaluator, Windows, spread
from agrm_study.training.kept_network import kept_network, kept_weights
from agrm_study.training.metrics import decide
from agrm_study.training.models.network import VideoClassifier
from agrm_study.training.outcome import Network
from agrm_study.training.ssl.losses import build_loss
from agrm_study.training.ssl.losses.supervised import SupervisedLoss
from agrm_study.training.temperature import subject_log_probs

TOLERANCE: Final[Mapping[str, float]] = {"fp32": 0.01, "bf16": 0.1, "fp16": 0.05}
"""Maximum deviation from the recorded logits, relative to the largest logit, by training precision. Differences between
devices and library versions are within this tolerance; differences caused by different weights or data are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Input data of a trial, located by `execution`; the field names match the arguments of `fit`."""

    store: Store
    manifest: Manifest
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadedTrial:
    """A trained network and its decisions on the test part, one per subject.

    Attributes:
        trial: The trial.
        recipe: Recipe of the trial, in fp32 and without compilation.
        name: The reported network, ``teacher``, ``ema`` or ``student``.
        network: The network, in eval mode.
        loss: The supervised loss, which converts outputs to logits.
        device: Device of the network.
        data: Input data of the trial.
        windows: The evaluated windows.
        probs_SK: Class probabilities of each subject, averaged over its windows.
        decided_S: Predicted class of each subject.
        middle_S: Index of each subject's middle window, the window that is explained.
    """

    trial: FinishedTrial
    recipe: Recipe
    name: Network
    network: VideoClassifier
    loss: SupervisedLoss
    device: Device
    data: Data
    windows: Windows
    probs_SK: NDArray[np.float64]
    decided_S: NDArray[np.int64]
    middle_S: NDArray[np.int64]

    def frames(self, subject: int) -> NDArray[np.uint8]:
        """The explained window of a subject, cropped as in the network's input, as RGB (T, size, size, 3)."""
        return np.ascontiguousarray(self._crops(subject)[0].transpose(0, 2, 3, 1))

    def clip(self, subject: int) -> Tensor:
        """The explained window of a subject, normalised, (3, T, size, size) on the device."""
        renderer = Renderer(0, self.recipe.clip.size, self.device.torch, noise=False)
        view = self.windows.view.take(self.middle_S[[subject]])
        clip_CTHW: Tensor = renderer(self.device.upload(self._crops(subject)), view)[0]
        return clip_CTHW

    @torch.no_grad()
    def predict(self, clips_BCTHW: Tensor) -> Tensor:
        """Logits (B, K) of normalised clips, in batches of the recipe's evaluation batch size."""
        parts = torch.split(clips_BCTHW.to(memory_format=torch.channels_last_3d), self.recipe.evaluate.batch)
        return torch.cat([self.loss.logits(self.network(part)) for part in parts])

    def _crops(self, subject: int) -> NDArray[np.uint8]:
        rows = self.middle_S[[subject]]
        view = self.windows.view.take(rows)
        return self.data.store.gather(
            self.windows.clips.rows_N[rows], view.frames_NT, view.tops_N, view.lefts_N, self.recipe.clip.size
        )


def reload_trial(trial: FinishedTrial, data: Data, recorded: pd.DataFrame, device: str = "cpu") -> ReloadedTrial:
    """Load the best weights of a trial and repeat its evaluation on the test part.

    Args:
        trial: A finished trial with saved weights.
        data: Input data of the trial.
        recorded: The trial's `predictions` records of the test part.
        device: ``cpu``, ``cuda`` or ``cuda:N``; the network always runs in single precision.

    Raises:
        InputError: If data, weights or logits differ from the records.
    """
    found = (data.manifest.fingerprint, data.split.fingerprint)
    planned = (trial.data_fingerprint, trial.split_fingerprint)
    if found != planned:
        raise InputError(
            "the data must be the same as during training",
            where=data.manifest.path,
            given=f"fingerprints {', '.join(found)}",
            allowed=", ".join(planned),
            hint="Check whether the manifest or the videos have changed.",
        )
    recipe = trial.recipe.model_copy(update={"precision": "fp32", "compile": False})
    weights = _weights(trial)
    place = Device(device, recipe)
    train = clip_set(data.split.train, data.manifest, data.store, recipe.task)
    counts = [int((train.labels_N == index).sum()) for index in range(len(recipe.classes))]
    loss = build_loss(recipe.loss, recipe.classes, counts, order=recipe.task.order)
    name, network = kept_network(recipe, loss, weights, str(trial.weights))
    place.place(network)

    windows = spread(
        clip_set(data.split.test, data.manifest, data.store, recipe.task), recipe.clip, recipe.evaluate.clips
    )
    evaluator = Evaluator(
        store=data.store,
        renderer=Renderer(0, recipe.clip.size, place.torch, noise=False),
        device=place,
        loss=loss,
        size=recipe.clip.size,
        batch=recipe.evaluate.batch,
    )
    logits_NK = evaluator.logits({name: network}, windows)[name]
    _compare(logits_NK, windows, recorded[recorded["network"] == name], trial)
    probs_SK = np.exp(subject_log_probs(logits_NK, windows.owners_N, len(windows.subjects)))
    of_subject = [np.flatnonzero(windows.owners_N == subject) for subject in range(len(windows.subjects))]
    return ReloadedTrial(
        trial=trial,
        recipe=recipe,
        name=name,
        network=network,
        loss=loss,
        device=place,
        data=data,
        windows=windows,
        probs_SK=probs_SK,
        decided_S=decide(probs_SK),
        middle_S=np.array([rows[len(rows) // 2] for rows in of_subject], dtype=np.int64),
    )


def _weights(trial: FinishedTrial) -> dict[str, Tensor]:
    path = trial.weights
    if not path.is_file():
        raise InputError(
            trial.why_without_weights,
            where=path,
            hint="To explain the study, run it in a new folder with `keep_weights: all`.",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("the weights cannot be read", where=path, hint=f"{error.strerror}.") from None
    check_weights(content, trial.weights_digest, str(path))
    return kept_weights(content, trial.best_epoch, str(path))


def _compare(logits_NK: NDArray[np.float32], windows: Windows, recorded: pd.DataFrame, trial: FinishedTrial) -> None:
    """Compare the network's logits with the records.

    Raises:
        InputError: If logits are missing from the records or differ by more than `TOLERANCE`.
    """
    by_window = dict(zip(recorded["clip_id"], recorded["logits"], strict=True))
    missing = [name for name in windows.names if name not in by_window]
    if missing:
        raise InputError(
            "the test predictions of this trial are not in the ledger", given=missing[0], where=trial.trial_id
        )
    before_NK = np.stack([by_window[name] for name in windows.names])
    largest = max(1.0, float(np.abs(before_NK).max()))
    off = float(np.abs(logits_NK - before_NK).max()) / largest if before_NK.shape == logits_NK.shape else np.inf
    allowed = TOLERANCE[trial.recipe.precision]
    if not off <= allowed:
        raise InputError(
            "the network must reproduce the recorded logits",
            where=trial.weights,
            given=f"a deviation of {off:.0%} of the largest logit",
            allowed=f"at most {allowed:.0%}",
            hint="The weights, the clip store or the code have changed since training.",
        )
