"""Accumulation of the losses and metrics of a training epoch, with checks that losses are finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from agrm_study.training.failures import NanLossError
from agrm_study.training.metrics import classification_metrics, decide
from agrm_study.training.outcome import EpochRow
from agrm_study.training.ssl.step import TERMS, StepResult

_STEPS_BETWEEN_CHECKS = {"cpu": 1, "cuda": 16}
"""Steps between checks for finite losses; reading a loss synchronizes with a GPU, but is free on a CPU."""


class EpochTally:
    """Accumulates the steps of an epoch.

    Args:
        epoch: Epoch number, counted from 1.
        ramp_weight: λ in this epoch.
        pseudo_weight: w in CE + λ (consistency + w · pseudo + penalty).
        penalised: Whether the threshold policy has a penalty, which is then recorded.
    """

    def __init__(self, epoch: int, ramp_weight: float, pseudo_weight: float, *, penalised: bool = False) -> None:
        self._penalised = penalised
        self.epoch, self.ramp_weight, self.pseudo_weight = epoch, ramp_weight, pseudo_weight
        self._terms: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._checked = 0

    def add(self, result: StepResult, labels_B: Tensor) -> None:
        """Add a step.

        Raises:
            NanLossError: If a loss of this step (on a GPU, of any step since the last check) is not finite.
        """
        self._terms.append(result.terms_4)
        self._logits.append(result.logits_BK)
        self._labels.append(labels_B)
        if len(self._terms) - self._checked >= _STEPS_BETWEEN_CHECKS.get(labels_B.device.type, 1):
            self._check()

    def row(self, training: dict[str, Any]) -> EpochRow:
        """The student's train row: mean losses, and metrics on the augmented labelled clips.

        Args:
            training: Additional values of the epoch.

        Raises:
            NanLossError: If a loss is not finite.
        """
        self._check()
        sizes_S = np.array([len(labels) for labels in self._labels], dtype=np.float64)
        terms_S4 = torch.stack(self._terms).double().cpu().numpy()
        supervised = float(np.average(terms_S4[:, 0], weights=sizes_S))
        consistency, pseudo, penalty = (float(value) for value in terms_S4[:, 1:].mean(axis=0))
        probs_NK = torch.softmax(torch.cat(self._logits).double(), dim=1).cpu().numpy()
        labels_N = torch.cat(self._labels).cpu().numpy()
        return EpochRow(
            epoch=self.epoch,
            split="train",
            network="student",
            loss=supervised + self.ramp_weight * (consistency + self.pseudo_weight * pseudo + penalty),
            metrics=classification_metrics(labels_N, decide(probs_NK), probs_NK.shape[1]),
            training={
                "loss_supervised": supervised,
                "loss_consistency": consistency,
                "loss_pseudo": pseudo,
                **({"loss_penalty": penalty} if self._penalised else {}),
                "ramp_weight": self.ramp_weight,
                **training,
            },
        )

    def _check(self) -> None:
        unchecked = self._terms[self._checked :]
        if not unchecked:
            return
        terms_S4 = torch.stack(unchecked)
        for step, terms_4 in enumerate(terms_S4.tolist(), start=self._checked + 1):
            if not np.isfinite(terms_4).all():
                shown = TERMS if self._penalised else TERMS[:-1]
                raise NanLossError(self.epoch, step, dict(zip(shown, terms_4, strict=False)))
        self._checked = len(self._terms)
