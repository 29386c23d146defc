"""One training step: supervised and unsupervised losses, optimizer and teacher update."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from agrm_study.study.recipe import Recipe
from agrm_study.training.batches import LabelledBatch, UnlabelledBatch
from agrm_study.training.device import Device
from agrm_study.training.ssl.losses.supervised import SupervisedLoss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats, candidates, consistency_loss, pseudo_label_loss
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy

TERMS = ("loss_supervised", "loss_consistency", "loss_pseudo")
"""Names of a step's loss terms, in the order of `StepResult.terms_3`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How a method uses unlabelled clips.

    Attributes:
        labeller: Network that provides the target: None, the ``teacher`` or the ``student`` on a separate view, or the
            student on the view it is trained on (``same``).
        consistency: Whether the consistency loss between student and labeller is used.
        pseudo: Whether accepted pseudo-labels are used.
    """

    labeller: str | None = None
    consistency: bool = False
    pseudo: bool = False

    @property
    def label_view(self) -> bool:
        """Whether the labeller uses a separate view."""
        return self.labeller in ("teacher", "student")


METHODS: dict[str, Method] = {
    "supervised": Method(),
    "mean_teacher": Method(labeller="teacher", consistency=True),
    "pseudo_label": Method(labeller="same", pseudo=True),
    "fixmatch": Method(labeller="student", pseudo=True),
    "agrm": Method(labeller="teacher", consistency=True, pseudo=True),
}
"""Methods by the value of `ssl.method`: supervised, Tarvainen & Valpola 2017, Lee 2013, Sohn et al. 2020, Song et al.
2026."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Results of a step for the record, on the device.

    Attributes:
        terms_3: Supervised, consistency and pseudo-label loss, before weighting.
        logits_BK: Logits of the student on the labelled batch.
    """

    terms_3: Tensor
    logits_BK: Tensor


class Learner:
    """Runs training steps.

    A step minimises CE + λ (consistency + w · pseudo) (Song et al. 2026, section 2.4.3; w is `ssl.pseudo.weight`).
    Labelled and unlabelled clips go through the student in separate forward and backward passes, so that only one graph
    is in memory at a time. With λ = 0, unlabelled clips are skipped and the step is bit-identical to a supervised step.
    FixMatch labels with the student in train mode, without gradient, as its authors do.

    Args:
        recipe: Method, pseudo-label settings, gradient accumulation and gradient clipping.
        networks: The student and, once started, the teacher.
        optimizer: Optimizer of the student's parameters.
        loss: The supervised loss.
        policy: The threshold policy for pseudo-labels.
        device: Device of networks and batches.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        networks: Networks,
        optimizer: torch.optim.Optimizer,
        loss: SupervisedLoss,
        policy: ThresholdPolicy,
        device: Device,
    ) -> None:
        self._networks, self._optimizer, self._policy = networks, optimizer, policy
        self.method = METHODS[recipe.ssl.method]
        self._pseudo = recipe.ssl.pseudo
        self._learns_pseudo = self.method.pseudo and self._pseudo.mode == "online"
        self._accumulate, self._clip_norm = recipe.batch.accumulate, recipe.optimizer.clip_norm
        self._loss, self._device = loss, device
        self._parameters = list(networks.student.parameters())

    @property
    def uses_unlabelled(self) -> bool:
        """Whether a step uses an unlabelled batch."""
        return self.method.consistency or self._learns_pseudo

    def step(
        self,
        labelled: LabelledBatch,
        unlabelled: UnlabelledBatch | None,
        ramp_weight: float,
        stats: PseudoStats,
    ) -> StepResult:
        """Run one training step.

        Args:
            labelled: The labelled batch.
            unlabelled: The unlabelled batch, or None.
            ramp_weight: λ, the weight of the unsupervised losses.
            stats: Accumulates the pseudo-label statistics.
        """
        self._optimizer.zero_grad(set_to_none=True)
        supervised, logits_BK = self._learn_labelled(labelled)
        zero = torch.zeros_like(supervised)
        consistency, pseudo = zero, zero
        if unlabelled is not None and ramp_weight > 0 and self.uses_unlabelled:
            consistency, pseudo = self._learn_unlabelled(unlabelled, ramp_weight, stats)
        self._device.step(self._optimizer, self._parameters, self._clip_norm)
        if self._networks.teacher is not None:
            self._networks.teacher.update()
        return StepResult(torch.stack([supervised, consistency, pseudo]), logits_BK)

    def _learn_labelled(self, batch: LabelledBatch) -> tuple[Tensor, Tensor]:
        total, logits = torch.zeros((), device=self._device.torch), []
        for share, part in batch.parts(self._accumulate):
            with self._device.autocast():
                outputs_BO = self._networks.student(part.clips_BCTHW)
            loss = self._loss(outputs_BO, part.labels_B) * share
            self._device.backward(loss)
            total = total + loss.detach()
            logits.append(self._loss.logits(outputs_BO.detach()))
        return total, torch.cat(logits)

    def _learn_unlabelled(
        self, batch: UnlabelledBatch, ramp_weight: float, stats: PseudoStats
    ) -> tuple[Tensor, Tensor]:
        zero = torch.zeros((), device=self._device.torch)
        total_consistency, total_pseudo = zero, zero
        for share, part in batch.parts(self._accumulate):
            target_BK = self._target(part)
            with self._device.autocast():
                outputs_BO = self._networks.student(part.student_BCTHW)
            log_probs_BK = self._loss.log_probs(outputs_BO)
            if target_BK is None:
                target_BK = log_probs_BK.detach().exp()
            consistency = consistency_loss(log_probs_BK, target_BK) if self.method.consistency else zero
            pseudo = self._pseudo_loss(part, log_probs_BK, target_BK, stats) if self._learns_pseudo else zero
            self._device.backward(ramp_weight * share * (consistency + self._pseudo.weight * pseudo))
            total_consistency = total_consistency + share * consistency.detach()
            total_pseudo = total_pseudo + share * pseudo.detach()
        return total_consistency, total_pseudo

    def _target(self, part: UnlabelledBatch) -> Tensor | None:
        """Class probabilities (B, K) of the labeller on its view; None if it labels the student's view."""
        if part.label_BCTHW is None:
            return None
        with torch.no_grad(), self._device.autocast():
            labeller = self._networks.teacher or self._networks.student
            return self._loss.log_probs(labeller(part.label_BCTHW)).exp()

    def _pseudo_loss(
        self, part: UnlabelledBatch, log_probs_BK: Tensor, target_BK: Tensor, stats: PseudoStats
    ) -> Tensor:
        labels = candidates(target_BK, log_probs_BK.detach().exp(), self._pseudo.confidence)
        weights_B = self._policy.select(labels.probs_BK, part.ids_B) * labels.allowed_B
        stats.add(labels, weights_B, part.hidden_B)
        return pseudo_label_loss(log_probs_BK, labels, weights_B, self._pseudo.target)
