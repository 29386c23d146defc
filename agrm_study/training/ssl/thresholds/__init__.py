"""Which policies accept pseudo-labels?"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.recipe import Threshold

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
    if threshold.policy not in POLICIES:
        raise InputError(
            "must be one of the known threshold policies",
            field="ssl.threshold.policy",
            given=threshold.policy,
            allowed=", ".join(POLICIES),
            hint=did_you_mean(threshold.policy, POLICIES),
        )
    policy: ThresholdPolicy = resolve_name(POLICIES[threshold.policy])(threshold, n_classes, n_unlabelled)
    return policy
