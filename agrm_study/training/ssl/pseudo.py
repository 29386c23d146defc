"""Pseudo-labels, the losses on unlabelled clips, and statistics of pseudo-label quality."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.training.ssl.precision import at_least_float32

Source = Literal["teacher", "student", "mean", "min", "agree"]
Target = Literal["hard", "soft"]


class Candidates(NamedTuple):
    """Pseudo-labels of a batch before a threshold policy is applied, without gradients.

    Attributes:
        probs_BK: Class probabilities for the threshold policy and for soft targets. With ``min`` they sum to less than
            1 if the networks differ.
        labels_B: Pseudo-labels, the arg max of `probs_BK`.
        confidence_B: Confidence, the max of `probs_BK`.
        allowed_B: 1 if the clip may be accepted, otherwise 0 (only with ``agree``); float32.
    """

    probs_BK: Tensor
    labels_B: Tensor
    confidence_B: Tensor
    allowed_B: Tensor


def candidates(teacher_probs_BK: Tensor, student_probs_BK: Tensor, source: Source) -> Candidates:
    """Pseudo-labels and their confidence from a given source.

    The source is `ssl.pseudo.confidence`, which Song et al. (2026, section 2.1) do not specify:

    - ``teacher``: the labelling network (without a teacher, the student on the view to be labelled);
    - ``student``: the student, on the view it is trained on;
    - ``mean``: the mean of the two distributions;
    - ``min``: the smaller of the two probabilities for each class;
    - ``agree``: the teacher's label and confidence, accepted only if the student's arg max is the same.

    Args:
        teacher_probs_BK: Class probabilities of the labelling network.
        student_probs_BK: Class probabilities of the student; detached.
        source: Source of labels and confidence.
    """
    teacher_BK = at_least_float32(teacher_probs_BK.detach())
    student_BK = at_least_float32(student_probs_BK.detach())
    if source == "student":
        probs_BK = student_BK
    elif source == "mean":
        probs_BK = (teacher_BK + student_BK) / 2
    elif source == "min":
        probs_BK = torch.minimum(teacher_BK, student_BK)
    else:
        probs_BK = teacher_BK
    confidence_B, labels_B = probs_BK.max(dim=1)
    if source == "agree":
        allowed_B = (student_BK.argmax(dim=1) == labels_B).to(torch.float32)
    else:
        allowed_B = torch.ones_like(confidence_B, dtype=torch.float32)
    return Candidates(probs_BK, labels_B, confidence_B, allowed_B)


def with_probs(labels: Candidates, probs_BK: Tensor) -> Candidates:
    """The candidates with different class probabilities, from which label and confidence are recomputed."""
    if probs_BK is labels.probs_BK:
        return labels
    confidence_B, labels_B = probs_BK.max(dim=1)
    return Candidates(probs_BK, labels_B, confidence_B, labels.allowed_B)


def consistency_loss(student_log_probs_BK: Tensor, teacher_probs_BK: Tensor) -> Tensor:
    """Squared distance between the two class distributions: mean over the batch of Σ_k (p_S − p_T)², in [0, 2].

    (Song et al. 2026, section 2.4.3.) The teacher's probabilities are a constant target without gradient.

    Args:
        student_log_probs_BK: Logarithms of the student's class probabilities, with gradient.
        teacher_probs_BK: Class probabilities of the teacher.

    Returns:
        The loss, a scalar with gradient.
    """
    student_BK = at_least_float32(student_log_probs_BK).exp()
    teacher_BK = at_least_float32(teacher_probs_BK.detach())
    return (student_BK - teacher_BK).square().sum(dim=1).mean()


def pseudo_label_loss(
    student_log_probs_BK: Tensor, labels: Candidates, weights_B: Tensor, target: Target = "hard"
) -> Tensor:
    """Weighted cross-entropy of the student with its pseudo-labels: (1/B) Σ_b w_b · CE_b.

    The mean is over the whole unlabelled batch, including rejected clips (Sohn et al. 2020, equation 4), so that a
    batch with few accepted clips has less influence. The target is the label (``hard``) or the candidates' distribution
    (``soft``).

    Args:
        student_log_probs_BK: Logarithms of the student's class probabilities, with gradient.
        labels: The pseudo-labels.
        weights_B: Weight of each clip in [0, 1]: the policy's weight times `Candidates.allowed_B`.
        target: ``hard`` or ``soft``.

    Returns:
        The loss, a scalar with gradient.
    """
    log_probs_BK = at_least_float32(student_log_probs_BK)
    if target == "hard":
        cross_entropy_B = F.nll_loss(log_probs_BK, labels.labels_B, reduction="none")
    else:
        targets_BK = labels.probs_BK / labels.probs_BK.sum(dim=1, keepdim=True)
        cross_entropy_B = -(targets_BK * log_probs_BK).sum(dim=1)
    return (weights_B.detach() * cross_entropy_B).mean()


class PseudoStats:
    """Pseudo-label statistics of an epoch, accumulated on the device and read once.

    Each clip contributes in proportion to its weight w, so that the statistics are comparable between 0/1 policies and
    SoftMatch (whose authors call coverage and accuracy "quantity" and "quality"; Chen et al. 2023, section 2).

    Args:
        n_classes: K, the number of classes.
        device: Device of the batches.
    """

    def __init__(self, n_classes: int, device: torch.device | str = "cpu") -> None:
        self._classes_K = torch.arange(n_classes, device=device)
        self._sums = torch.zeros(5 + n_classes, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, labels: Candidates, weights_B: Tensor, hidden_B: Tensor | None = None) -> None:
        """Add a batch without synchronizing with the device.

        Args:
            labels: The pseudo-labels.
            weights_B: The weights used in the loss.
            hidden_B: int64 true classes from hidden labels, −1 if unknown; ``None`` if all are unknown.
        """
        weights_B = weights_B.detach().to(torch.float64)
        if hidden_B is None:
            known_B = correct_B = torch.zeros_like(weights_B)
        else:
            known_B = weights_B * (hidden_B >= 0)
            correct_B = known_B * (hidden_B == labels.labels_B)
        members_BK = (labels.labels_B[:, None] == self._classes_K) & (weights_B[:, None] > 0)
        columns = [torch.ones_like(weights_B), weights_B, weights_B * labels.confidence_B, known_B, correct_B]
        self._sums += torch.cat([torch.stack(columns, dim=1), members_BK], dim=1).sum(dim=0)

    def read(self) -> dict[str, Any]:
        """The statistics of the epoch, named as in the records; synchronizes with the device.

        Returns:
            ``pseudo_coverage`` (Σw / number of clips) and ``pseudo_class_counts`` (number of clips with w > 0 by label,
            K ints); ``pseudo_confidence`` (Σw·m / Σw, with confidence m) if any clip was accepted; and
            ``pseudo_accuracy`` (Σw·correct / Σw over clips with a known true class) if any such clip was accepted.
            Empty if no batch was added.
        """
        seen, accepted, confidence, known, correct, *counts = self._sums.tolist()
        if seen == 0:
            return {}
        figures: dict[str, Any] = {
            "pseudo_coverage": accepted / seen,
            "pseudo_class_counts": [int(count) for count in counts],
        }
        if accepted > 0:
            figures["pseudo_confidence"] = confidence / accepted
        if known > 0:
            figures["pseudo_accuracy"] = correct / known
        return figures
