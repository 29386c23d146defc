"""What does the student learn from unlabelled clips, and how good are the labels it is given?"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.training.ssl.precision import at_least_float32

Source = Literal["teacher", "student", "mean", "min", "agree"]
Target = Literal["hard", "soft"]


class Candidates(NamedTuple):
    """Pseudo-labels of a batch before a threshold policy has judged them; nothing carries a gradient.

    Attributes:
        probs_BK: Class probabilities that the policy judges and that a soft target is made of. (Under ``min`` they sum
            to less than 1 where the networks differ.)
        labels_B: The pseudo-label: arg max of `probs_BK`.
        confidence_B: Its probability: max of `probs_BK`.
        allowed_B: 1 where the clip may be accepted at all, float32; 0 only under ``agree``.
    """

    probs_BK: Tensor
    labels_B: Tensor
    confidence_B: Tensor
    allowed_B: Tensor


def candidates(teacher_probs_BK: Tensor, student_probs_BK: Tensor, source: Source) -> Candidates:
    """Pseudo-labels, by whose confidence decides (`ssl.pseudo.confidence`; left open by Song et al. 2026, section 2.1).

    - ``teacher``: the labelling network alone (without a teacher: the student itself, on the view that is labelled);
    - ``student``: the student alone, on the view it learns from;
    - ``mean``: the mean of both distributions;
    - ``min``: the smaller of both probabilities, class by class: a class counts as much as both grant it;
    - ``agree``: the teacher's label and confidence, but only where the student's arg max is the same.

    Args:
        teacher_probs_BK: Class probabilities of the labelling network.
        student_probs_BK: Class probabilities of the student; gradients are not followed.
        source: Whose confidence decides.
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


def consistency_loss(student_log_probs_BK: Tensor, teacher_probs_BK: Tensor) -> Tensor:
    """Squared distance of both class distributions: mean over the batch of Σ_k (p_S − p_T)², in [0, 2].

    (Song et al. 2026, section 2.4.3.) The teacher is a target: no gradient reaches it.

    Args:
        student_log_probs_BK: Logarithms of the student's class probabilities, with gradient.
        teacher_probs_BK: The teacher's class probabilities.
    """
    student_BK = at_least_float32(student_log_probs_BK).exp()
    teacher_BK = at_least_float32(teacher_probs_BK.detach())
    return (student_BK - teacher_BK).square().sum(dim=1).mean()


def pseudo_label_loss(
    student_log_probs_BK: Tensor, labels: Candidates, weights_B: Tensor, target: Target = "hard"
) -> Tensor:
    """Weighted cross-entropy of the student with its pseudo-labels: (1/B) Σ_b w_b · CE_b.

    The mean is over the WHOLE unlabelled batch, rejected clips included (Sohn et al. 2020, equation 4), so that a batch
    with few accepted clips pulls less. The target is the label (``hard``) or the candidates' distribution (``soft``).

    Args:
        student_log_probs_BK: Logarithms of the student's class probabilities, with gradient.
        labels: The pseudo-labels.
        weights_B: Weight of each clip in [0, 1]: the policy's times `Candidates.allowed_B`.
        target: ``hard`` or ``soft``.
    """
    log_probs_BK = at_least_float32(student_log_probs_BK)
    if target == "hard":
        cross_entropy_B = F.nll_loss(log_probs_BK, labels.labels_B, reduction="none")
    else:
        targets_BK = labels.probs_BK / labels.probs_BK.sum(dim=1, keepdim=True)
        cross_entropy_B = -(targets_BK * log_probs_BK).sum(dim=1)
    return (weights_B.detach() * cross_entropy_B).mean()


class PseudoStats:
    """Sums over an epoch's pseudo-labels, kept on the device and read once.

    Each clip counts with its weight w, so that the shares mean the same under a 0/1 policy and under SoftMatch (whose
    authors call coverage and accuracy quantity and quality; Chen et al. 2023, section 2).

    Args:
        n_classes: Number of classes K.
        device: Where the batches are.
    """

    def __init__(self, n_classes: int, device: torch.device | str = "cpu") -> None:
        self._classes_K = torch.arange(n_classes, device=device)
        self._sums = torch.zeros(5 + n_classes, dtype=torch.float64, device=device)

    @torch.no_grad()
    def add(self, labels: Candidates, weights_B: Tensor, hidden_B: Tensor | None = None) -> None:
        """Count a batch; never waits for the device.

        Args:
            labels: The pseudo-labels.
            weights_B: The weights that the loss used.
            hidden_B: int64 true classes where the data set hides them, −1 where it does not know; ``None``: nowhere.
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
        """The epoch's figures, named as in the records; the one point that waits for the device.

        Returns:
            ``pseudo_coverage`` (Σw / clips seen) and ``pseudo_class_counts`` (clips with w > 0 by label, K ints); where
            anything was accepted ``pseudo_confidence`` (Σw·m / Σw), and where true classes of it are known
            ``pseudo_accuracy`` (Σw·correct / Σw of those). Empty when no batch was added.
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
