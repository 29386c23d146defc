"""Execution order of trials: seed by seed over all arms, with the longest trials first within a seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from agrm_study.plan.trial import TrialSpec
from agrm_study.study.recipe import Recipe

BACKBONE_WEIGHT: Final[Mapping[str, float]] = {
    "r3d_18": 40.7,
    "mc3_18": 43.3,
    "r2plus1d_18": 40.5,
    "c3d": 38.5,
    "uniformer_s": 8.3,
    "s3d": 4.5,
    "mvit_v2_s": 13.9,
    "swin3d_t": 11.4,
}
"""Multiply-adds of a forward pass at 16 × 112 × 112, in 10⁹, as counted by torch's FlopCounterMode; only their order is
used. Unknown backbones are treated as r3d_18."""


def rough_cost(recipe: Recipe, epochs: float | None = None) -> float:
    """Relative cost of a trial in arbitrary units, estimated without measurements.

    Forward passes of the network over all epochs × multiply-adds per pass. A semi-supervised step includes a forward
    and a backward pass of every view of the unlabelled clips, and one more forward pass of the clips for their
    pseudo-labels.

    Args:
        recipe: Recipe of the trial.
        epochs: Number of initial epochs to count.
    """
    epochs = recipe.epochs if epochs is None else epochs
    supervised, unlabelled = _step_passes(recipe)
    with_unlabelled = max(0, epochs - recipe.ssl.pretrain_epochs)
    return _pass_cost(recipe) * (epochs * supervised + with_unlabelled * unlabelled)


def step_cost(recipe: Recipe) -> float:
    """Relative cost of a trial's heaviest step in arbitrary units, also a proxy for its memory; only for sorting."""
    return _pass_cost(recipe) * sum(_step_passes(recipe))


def _step_passes(recipe: Recipe) -> tuple[float, float]:
    """Equivalent number of forward passes of one clip per step, for its labelled and its unlabelled clips."""
    unlabelled = (3.0 * recipe.ssl.views + 1.0) * recipe.batch.unlabelled if recipe.uses_unlabelled else 0.0
    return 3.0 * recipe.batch.labelled, unlabelled


def _pass_cost(recipe: Recipe) -> float:
    """Multiply-adds of a forward pass of one clip, in 10⁹."""
    model, clip = recipe.model, recipe.clip
    volume = (clip.frames / 16) * (clip.size / 112) ** 2
    pass_cost = BACKBONE_WEIGHT.get(model.backbone, BACKBONE_WEIGHT["r3d_18"]) * volume * (model.width / 64) ** 2
    if model.backbone not in ("c3d", "uniformer_s", "s3d", "mvit_v2_s", "swin3d_t"):
        pass_cost *= model.depth / 18
    return pass_cost


def running_order(trials: Iterable[TrialSpec], seeds: Sequence[int]) -> tuple[TrialSpec, ...]:
    """The trials, sorted by the position of their seed in the study, then by decreasing cost; the sort is stable.

    An interrupted study then has as many replicates as possible in every arm, and slots stay busy until the end of a
    round because short trials run last.
    """
    place = {seed: position for position, seed in enumerate(seeds)}
    return tuple(sorted(trials, key=lambda trial: (place.get(trial.seed, len(place)), -rough_cost(trial.recipe))))
