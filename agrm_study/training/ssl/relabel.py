"""Pseudo-labels for a whole unlabelled part, used in rounds of pseudo-labelling and in records."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from agrm_study.training.evaluate import Evaluator, Windows
from agrm_study.training.ssl.networks import Networks
from agrm_study.training.ssl.pseudo import Candidates, PseudoStats, candidates, consistency_loss, with_probs
from agrm_study.training.ssl.rounds import Rounds
from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy

Source = Literal["teacher", "student", "mean", "min", "agree"]


def label_round(
    rounds: Rounds,
    policy: ThresholdPolicy,
    evaluator: Evaluator,
    windows: Windows,
    networks: Networks,
    source: Source,
) -> dict[str, Any]:
    """Label every unlabelled clip, and move the clips accepted with full weight into the supervised set.

    Both networks run in eval mode on the same centre crop of the middle window of each video ("based on the same
    input", Song et al. 2026, section 2.1).

    Args:
        rounds: Receives the labels.
        policy: The policy, applied to all clips as one batch; its state advances by one step.
        evaluator: Runs the networks.
        windows: One window per unlabelled clip, in order of the ids.
        networks: The networks; clips are labelled by the teacher, or by the student for methods without a teacher.
        source: Source of labels and confidence (`pseudo.candidates`).

    Returns:
        The statistics of `PseudoStats` over all clips moved so far, with their current labels.
    """
    labels, _ = _candidates(evaluator, windows, networks, source)
    labels = with_probs(labels, policy.targets(labels.probs_BK, learn=True))
    ids = torch.arange(len(labels.labels_B))
    qualifies_N = ((policy.select(labels.probs_BK, ids) * labels.allowed_B) >= 1.0).numpy()
    rounds.close(ids.numpy(), labels.labels_B.numpy(), qualifies_N)
    moved_N = torch.zeros(len(ids))
    moved_N[torch.from_numpy(rounds.accepted_ids)] = 1.0
    stats = PseudoStats(labels.probs_BK.shape[1])
    stats.add(labels, moved_N, torch.from_numpy(windows.clips.labels_N))
    return stats.read()


def observe(
    policy: ThresholdPolicy,
    evaluator: Evaluator,
    windows: Windows,
    networks: Networks,
    source: Source,
) -> dict[str, Any]:
    """Consistency loss and pseudo-label statistics on unlabelled validation clips, without side effects.

    Clips are accepted above the policy's current mean threshold, without advancing the policy and without the
    uncertainty limit of `ssl.pseudo.uncertainty`, which applies only in training.

    Args:
        policy: The threshold policy.
        evaluator: Runs the networks.
        windows: One window per clip.
        networks: The networks; clips are labelled by the teacher, or by the student for methods without a teacher.
        source: Source of labels and confidence (`pseudo.candidates`).

    Returns:
        ``loss_consistency`` and the statistics of `PseudoStats`.
    """
    labels, consistency = _candidates(evaluator, windows, networks, source)
    labels = with_probs(labels, policy.targets(labels.probs_BK, learn=False))
    weights_N = (policy.confidence(labels.probs_BK) > policy.threshold()).float() * labels.allowed_B
    stats = PseudoStats(labels.probs_BK.shape[1])
    stats.add(labels, weights_N, torch.from_numpy(windows.clips.labels_N))
    return {"loss_consistency": consistency, **stats.read()}


def _candidates(evaluator: Evaluator, windows: Windows, networks: Networks, source: Source) -> tuple[Candidates, float]:
    with networks.on_unlabelled():
        logits = evaluator.logits({"labeller": networks.labeller, "student": networks.student}, windows)
    student_log_probs_NK = torch.log_softmax(_tensor(logits["student"]), dim=1)
    labeller_probs_NK = torch.softmax(_tensor(logits["labeller"]), dim=1)
    labels = candidates(labeller_probs_NK, student_log_probs_NK.exp(), source)
    return labels, float(consistency_loss(student_log_probs_NK, labeller_probs_NK))


def _tensor(logits_NK: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(logits_NK)
