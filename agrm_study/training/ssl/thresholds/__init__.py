"""Registry of threshold policies for pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agrm_study.study.parts.registry import Registry
from agrm_study.study.ssl_settings import Threshold

if TYPE_CHECKING:
    from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy

__all__ = ["POLICIES", "build_policy"]

_SHIPPED: dict[str, str] = {
    "fixed": "agrm_study.training.ssl.thresholds.fixed:Fixed",
    "flexmatch": "agrm_study.training.ssl.thresholds.flexmatch:FlexMatch",
    "freematch": "agrm_study.training.ssl.thresholds.freematch:FreeMatch",
    "softmatch": "agrm_study.training.ssl.thresholds.softmatch:SoftMatch",
    "relative": "agrm_study.training.ssl.thresholds.relative:Relative",
    "percentile": "agrm_study.training.ssl.thresholds.percentile:Percentile",
}
POLICIES = Registry("threshold", _SHIPPED)
"""Value of `ssl.threshold.policy` → `module:Class`, as strings so that listing the names does not import torch."""


def build_policy(
    threshold: Threshold, n_classes: int, n_unlabelled: int, label_counts: Sequence[int] | None = None
) -> ThresholdPolicy:
    """Build the threshold policy of a recipe, in its initial state.

    Args:
        threshold: The recipe's `ssl.threshold` section.
        n_classes: K, the number of classes.
        n_unlabelled: Number of unlabelled training clips.
        label_counts: Number of labelled training clips of each class; None counts all classes equally.

    Raises:
        InputError: If the policy is unknown.
    """
    build = POLICIES.load(threshold.policy)
    policy: ThresholdPolicy = build(threshold, n_classes, n_unlabelled)
    if threshold.alignment == "none":
        return policy
    from agrm_study.training.ssl.alignment import AlignedPolicy

    return AlignedPolicy(policy, label_counts or [1] * n_classes)
