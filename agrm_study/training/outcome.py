"""Results of a trial, per epoch and at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Network = Literal["student", "teacher", "ema"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """Results of one network on one part after one epoch.

    Attributes:
        epoch: Epoch number, counted from 1.
        split: Part of the split.
        network: The network.
        loss: Mean cross-entropy in the evaluation (val), or total training loss (train).
        metrics: accuracy, balanced_accuracy and macro_f1, in [0, 1].
        training: For the student's train row: loss_supervised, loss_consistency, loss_pseudo, loss_penalty (weighted;
            only for policies with an additional loss term), ramp_weight, lr, threshold, pseudo_coverage,
            pseudo_confidence, pseudo_accuracy (only with hidden labels) and the list pseudo_class_counts.
    """

    epoch: int
    split: Split
    network: Network
    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """Results of one epoch.

    Attributes:
        epoch: Epoch number, counted from 1.
        rows: Rows of the epoch.
        done: Whether training has ended.
        clips_per_s: Training throughput, in clips per second.
    """

    epoch: int
    rows: tuple[EpochRow, ...]
    done: bool
    clips_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Logits of one network on one part at the best epoch, with one row per evaluated window.

    Attributes:
        split: Part of the split.
        network: The network.
        epoch: The best epoch, counted from 1.
        subject_id: Subject of each window (N,).
        clip_id: Clip and window (N,), unique within the part.
        label: Class indices of the task (N,), int8.
        logits: Logits (N, K), float32.
    """

    split: Split
    network: Network
    epoch: int
    subject_id: tuple[str, ...]
    clip_id: tuple[str, ...]
    label: NDArray[np.int8]
    logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """Outcome of a finished training run.

    Attributes:
        stop_reason: ``epochs`` or ``early_stop``.
        best_epoch: Epoch of the weights used for the predictions, counted from 1.
        epochs: Number of completed epochs.
        n_params: Number of parameters of the student, including frozen ones; None if unknown.
        class_names: Class names, in the order of the logit columns.
        rows: Rows of all epochs.
        predictions: Predictions by network and part.
        device: ``cpu`` or the name of the GPU.
        steps_per_epoch: Training steps per epoch, excluding clips added by pseudo-labelling rounds; None if unknown.
        alpha: Decay per step of the network's moving average; None if there is no moving average.
        momentum: Decay per update of the threshold policy's averages; None if there are no averages.
        gflops: Floating-point operations of a forward pass for one clip, in 10⁹; None if they were not counted.
        clips_per_s: Mean training throughput since the last resume; None if no epoch was trained. Ignored by ``==``.
    """

    stop_reason: Literal["epochs", "early_stop"]
    best_epoch: int
    epochs: int
    n_params: int | None
    class_names: tuple[str, ...]
    rows: tuple[EpochRow, ...]
    predictions: tuple[Predictions, ...]
    device: str = "cpu"
    steps_per_epoch: int | None = None
    alpha: float | None = None
    momentum: float | None = None
    gflops: float | None = None
    clips_per_s: float | None = field(default=None, repr=False, compare=False)
