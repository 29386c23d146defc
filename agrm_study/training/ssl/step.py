"""One training step: supervised and unsupervised losses, optimizer and teacher update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from agrm_study.study.recipe import Recipe
from agrm_study.training.batches import LabelledBatch, UnlabelledBatch
from agrm_study.training.device import Device
from agrm_study.training.ssl.losses.supervised import SupervisedLoss
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import PseudoStats, candidates, consistency_loss, pseudo_label_loss, with_probs
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy
from agrm_study.training.ssl.uncertainty import dropping, spread

TERMS = ("loss_supervised", "loss_consistency", "loss_pseudo", "loss_penalty")
"""Names of a step's loss terms, in the order of `StepResult.terms_4`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Use of unlabelled clips by a method.

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
"""Methods by the value of `ssl.method` (sources of the last four: Tarvainen & Valpola 2017, Lee 2013, Sohn et al. 2020,
Song et al. 2026)."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Recorded results of a step, on the device.

    Attributes:
        terms_4: Supervised, consistency and pseudo-label losses before weighting, and the policy's weighted penalty.
        logits_BK: Logits of the student on the labelled batch.
    """

    terms_4: Tensor
    logits_BK: Tensor


class Learner:
    """Runs training steps.

    A step minimises CE + λ (consistency + w · pseudo + penalty) (Song et al. 2026, section 2.4.3; w is
    `ssl.pseudo.weight`, and only some threshold policies have a penalty). The student processes labelled and unlabelled
    clips in separate forward and backward passes, so that only one graph is in memory at a time, or in a single pass
    with `ssl.batch_norm: joint`. With λ = 0, unlabelled clips are skipped and the step is bit-identical to a supervised
    step. In FixMatch, the student computes labels in train mode, without gradients, as in the authors' code.

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
        self._joint = recipe.ssl.batch_norm == "joint"
        self._accumulate, self._clip_norm = recipe.batch.accumulate, recipe.optimizer.clip_norm
        self._loss, self._device = loss, device
        self._parameters = list(networks.student.parameters())

    @property
    def uses_unlabelled(self) -> bool:
        """Whether a step uses an unlabelled batch."""
        return self.method.consistency or self._learns_pseudo

    @property
    def averages(self) -> bool:
        """Whether the threshold policy is used and has moving averages."""
        return self.method.pseudo and self._pseudo.mode != "off" and self._policy.keeps_average

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
        both = unlabelled is not None and ramp_weight > 0 and self.uses_unlabelled
        if unlabelled is not None and both and self._joint:
            terms, logits_BK = self._learn_jointly(labelled, unlabelled, ramp_weight, stats)
        else:
            supervised, logits_BK = self._learn_labelled(labelled)
            terms = [supervised, *[torch.zeros_like(supervised)] * 3]
            if unlabelled is not None and both:
                self._policy.observe(torch.softmax(logits_BK, dim=1))
                terms[1:] = self._learn_unlabelled(unlabelled, ramp_weight, stats)
        self._device.step(self._optimizer, self._parameters, self._clip_norm)
        self._networks.update()
        return StepResult(torch.stack(terms), logits_BK)

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

    def _learn_unlabelled(self, batch: UnlabelledBatch, ramp_weight: float, stats: PseudoStats) -> list[Tensor]:
        totals = [torch.zeros((), device=self._device.torch)] * 3
        for share, part in batch.parts(self._accumulate):
            with self._networks.on_unlabelled():
                target_BK = self._target(part)
                with self._device.autocast():
                    outputs = self._networks.student(_joined(part.student_views))
                log_probs = torch.split(self._loss.log_probs(outputs), len(part.ids_B))
                terms = self._unsupervised(part, log_probs, target_BK, stats)
                self._device.backward(ramp_weight * share * self._weighted(terms))
            totals = [total + share * term.detach() for total, term in zip(totals, terms, strict=True)]
        return totals

    def _learn_jointly(
        self, labelled: LabelledBatch, unlabelled: UnlabelledBatch, ramp_weight: float, stats: PseudoStats
    ) -> tuple[list[Tensor], Tensor]:
        """Run the student once on all clips, which batch norm normalises jointly."""
        views = [labelled.clips_BCTHW, *unlabelled.student_views]
        labels_itself = self._networks.teacher is None and unlabelled.label_BCTHW is not None
        if unlabelled.label_BCTHW is not None and labels_itself:
            views.append(unlabelled.label_BCTHW)
        target_BK = None if labels_itself else self._target(unlabelled)
        with self._device.autocast():
            outputs = self._networks.student(torch.cat(views)).split([len(view) for view in views])
        supervised = self._loss(outputs[0], labelled.labels_B)
        logits_BK = self._loss.logits(outputs[0].detach())
        if labels_itself:
            target_BK = self._loss.log_probs(outputs[-1].detach()).exp()
        self._policy.observe(torch.softmax(logits_BK, dim=1))
        students = outputs[1 : 1 + len(unlabelled.student_views)]
        terms = self._unsupervised(unlabelled, [self._loss.log_probs(view) for view in students], target_BK, stats)
        self._device.backward(supervised + ramp_weight * self._weighted(terms))
        return [supervised.detach(), *(term.detach() for term in terms)], logits_BK

    def _weighted(self, terms: list[Tensor]) -> Tensor:
        consistency, pseudo, penalty = terms
        return consistency + self._pseudo.weight * pseudo + penalty

    def _unsupervised(
        self, part: UnlabelledBatch, log_probs: Sequence[Tensor], target_BK: Tensor | None, stats: PseudoStats
    ) -> list[Tensor]:
        """Consistency loss, pseudo-label loss and the policy's penalty, each averaged over the student's views.

        A clip has one pseudo-label for all views. If the student's confidence is used, it is computed from the mean of
        the student's probabilities over the views.

        Args:
            part: The unlabelled clips.
            log_probs: Log-probabilities (B, K) of the student on each of its views, with gradient.
            target_BK: Class probabilities of the labeller; None if the labeller is the student on its only view.
            stats: Accumulates the pseudo-label statistics.
        """
        zero = torch.zeros((), device=self._device.torch)
        student_BK = _mean([view_BK.detach().exp() for view_BK in log_probs])
        if target_BK is None:
            target_BK = student_BK
        consistency = zero
        if self.method.consistency:
            consistency = _mean([consistency_loss(view_BK, target_BK) for view_BK in log_probs])
        if not self._learns_pseudo:
            return [consistency, zero, zero]
        labels = candidates(target_BK, student_BK, self._pseudo.confidence)
        labels = with_probs(labels, self._policy.targets(labels.probs_BK, learn=True))
        weights_B = self._policy.select(labels.probs_BK, part.ids_B) * labels.allowed_B
        if self._pseudo.uncertainty != "none":
            certain_B = self._uncertainty(part, target_BK, labels.labels_B) <= self._pseudo.uncertainty_max
            weights_B = weights_B * certain_B
        stats.add(labels, weights_B, part.hidden_B)
        pseudo = _mean([pseudo_label_loss(view_BK, labels, weights_B, self._pseudo.target) for view_BK in log_probs])
        penalties = [self._policy.penalty(view_BK, weights_B) for view_BK in log_probs]
        found = [penalty for penalty in penalties if penalty is not None]
        return [consistency, pseudo, _mean(found) if found else zero]

    def _target(self, part: UnlabelledBatch) -> Tensor | None:
        """Class probabilities (B, K) of the labeller on its view; None if it labels the student's view."""
        return None if part.label_BCTHW is None else self._label(part.label_BCTHW)

    def _label(self, clips_BCTHW: Tensor) -> Tensor:
        """Class probabilities (B, K) of the labeller."""
        with torch.no_grad(), self._device.autocast():
            labeller = self._networks.teacher or self._networks.student
            return self._loss.log_probs(labeller(clips_BCTHW)).exp()

    def _uncertainty(self, part: UnlabelledBatch, target_BK: Tensor, labels_B: Tensor) -> Tensor:
        """Uncertainty (B,) of the pseudo-labels across labeller passes with dropout, or across all views."""
        if part.label_BCTHW is None:
            raise ValueError("uncertainty requires a view for the labeller")
        if self._pseudo.uncertainty == "views":
            return spread(torch.stack([target_BK, *map(self._label, part.student_views)]), labels_B)
        with dropping(self._networks.labeller):
            passes = [self._label(part.label_BCTHW) for _ in range(self._pseudo.uncertainty_passes)]
        return spread(torch.stack(passes), labels_B)


def _joined(views: Sequence[Tensor]) -> Tensor:
    """All views as one batch; a single view is not copied."""
    return views[0] if len(views) == 1 else torch.cat(list(views))


def _mean(terms: Sequence[Tensor]) -> Tensor:
    """Mean over views; a single term is returned unchanged."""
    return terms[0] if len(terms) == 1 else torch.stack(list(terms)).mean(dim=0)
