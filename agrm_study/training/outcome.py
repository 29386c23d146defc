"""What does a trial hand back, epoch by epoch and at its end?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Network = Literal["student", "teacher"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One network on one part after one epoch; losses and pseudo-label figures stand on the student's train row.

    Attributes:
        epoch: From 1.
        loss: Mean cross-entropy of the evaluation (val), or total training loss (train).
        metrics: accuracy, balanced_accuracy, macro_f1 (fractions in [0, 1]).
        training: On train rows: loss_supervised, loss_consistency, loss_pseudo, ramp_weight, lr, threshold,
            pseudo_coverage, pseudo_confidence, pseudo_accuracy (absent without hidden labels), and the list
            pseudo_class_counts.
    """

    epoch: int
    split: Split
    network: Network
    loss: float
    metrics: dict[str, float] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """What an epoch adds: its rows, and whether the trial has ended."""

    epoch: int
    rows: tuple[EpochRow, ...]
    done: bool
    clips_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Logits of one network on one part at its best epoch; one row a subject and evaluated window.

    Attributes:
        subject_id: (N,) strings.
        clip_id: (N,) strings, unique within the part: clip and window.
        label: (N,) class indices of the task, int8.
        logits: (N, K) float32.
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
    """A finished training.

    Attributes:
        stop_reason: ``epochs`` or ``early_stop``.
        best_epoch: Epoch whose weights made the predictions, from 1.
        temperature: Softmax temperature fitted on validation, by network.
        class_names: Names of the logits' columns.
    """

    stop_reason: Literal["epochs", "early_stop"]
    best_epoch: int
    epochs: int
    n_params: int
    class_names: tuple[str, ...]
    rows: tuple[EpochRow, ...]
    predictions: tuple[Predictions, ...]
    temperature: dict[str, float] = field(default_factory=dict)
    device: str = "cpu"
