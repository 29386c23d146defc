"""Self-adaptive fairness: a loss term that prevents predictions from collapsing to a few classes (Wang et al. 2023)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from agrm_study.training.ssl.precision import at_least_float32

SMALLEST = 1e-12
"""Constant added before taking logarithms, as in the authors' code."""


def fairness_loss(log_probs_BK: Tensor, weights_B: Tensor, expected_K: Tensor, histogram_K: Tensor) -> Tensor:
    """−H(SumNorm(p̃ / h̃), SumNorm(p̄ / h̄)), with the cross-entropy H (FreeMatch; Wang et al. 2023, equations 9 to 11).

    p̄ is the mean of the student's probabilities on the strong views of the accepted clips, and h̄ the histogram of their
    arg max; p̃ and h̃ are moving averages of the same quantities on all weak views. The paper does not specify the
    treatment of a class that is missing from a histogram; as in the authors' code, its ratio is 0. If no clip is
    accepted, the loss is 0.

    Args:
        log_probs_BK: Logarithms of the student's class probabilities, with gradient.
        weights_B: Weights of the pseudo-labels; clips with a weight above 0 are accepted.
        expected_K: p̃.
        histogram_K: h̃.

    Returns:
        The loss, a scalar with gradient, at most 0.
    """
    probs_BK = at_least_float32(log_probs_BK).exp()
    accepted_B = (weights_B > 0).to(probs_BK.dtype)
    classes_BK = F.one_hot(probs_BK.argmax(dim=1), probs_BK.shape[1]).to(probs_BK.dtype)
    mean_K = (accepted_B[:, None] * probs_BK).sum(dim=0)
    counts_K = (accepted_B[:, None] * classes_BK).sum(dim=0)
    target_K = _ratio(expected_K.detach(), histogram_K.detach()).to(probs_BK.dtype)
    loss = (target_K * torch.log(_ratio(mean_K, counts_K) + SMALLEST)).sum()
    return loss * (accepted_B.sum() > 0)


def _ratio(probs_K: Tensor, histogram_K: Tensor) -> Tensor:
    """SumNorm(p / h), with 0 for classes missing from the histogram; p and h need not sum to 1."""
    there_K = histogram_K > 0
    scaled_K = torch.where(there_K, probs_K / torch.where(there_K, histogram_K, 1.0), 0.0)
    return scaled_K / scaled_K.sum().clamp(min=torch.finfo(scaled_K.dtype).tiny)
