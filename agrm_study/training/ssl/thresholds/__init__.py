"""Which policies accept pseudo-labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agrm_study.study.recipe import Threshold
from agrm_study.training.registry import resolve

if TYPE_CHECKING:
    from agrm_study.training.ssl.thresholds.policy import ThresholdPolicy

__all__ = ["POLICIES", "build_policy"]

POLICIES: dict[str, str] = {
    "fixed": "agrm_study.training.ssl.thresholds.fixed:Fixed",
    "flexmatch": "agrm_study.training.ssl.thresholds.flexmatch:FlexMatch",
    "freematch": "agrm_study.training.ssl.thresholds.freematch:FreeMatch",
    "softmatch": "agrm_study.training.ssl.thresholds.softmatch:SoftMatch",
    "percentile": "agrm_study.training.ssl.thresholds.percentile:Percentile",
}
"""Name in the recipe → class, loaded when it is built (so that the names cost no torch)."""


def build_policy(threshold: Threshold, n_classes: int, n_unlabelled: int) -> ThresholdPolicy:
    """The policy of a recipe, at the start of its state.

    Raises:
        InputError: For a policy that does not exist.
    """
    build = resolve(POLICIES, threshold.policy, kind="threshold policies", field="ssl.threshold.policy")
    policy: ThresholdPolicy = build(threshold, n_classes, n_unlabelled)
    return policy
