"""Registry of supervised losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agrm_study.study.errors import InputError
from agrm_study.study.parts.registry import Registry
from agrm_study.study.recipe import Loss

if TYPE_CHECKING:
    from agrm_study.training.ssl.losses.supervised import SupervisedLoss

__all__ = ["LOSSES", "build_loss"]

_SHIPPED: dict[str, str] = {
    "cross_entropy": "agrm_study.training.ssl.losses.cross_entropy:CrossEntropy",
    "focal": "agrm_study.training.ssl.losses.focal:Focal",
    "class_balanced": "agrm_study.training.ssl.losses.class_balanced:ClassBalanced",
    "corn": "agrm_study.training.ssl.losses.corn:Corn",
    "arcface": "agrm_study.training.ssl.losses.arcface:ArcFace",
}
LOSSES = Registry("loss", _SHIPPED)
"""Value of `loss.name` → `module:Class`, as strings so that listing the names does not import torch."""


def build_loss(
    loss: Loss, classes: Sequence[str], class_counts: Sequence[int], *, order: Sequence[int] | None = None
) -> SupervisedLoss:
    """Build the supervised loss of a recipe.

    Args:
        loss: The recipe's `loss` section.
        classes: Class names by class index.
        class_counts: Number of labelled training clips of each class.
        order: Class indices in ascending order, for ordinal losses; None for classes without an order.

    Raises:
        InputError: If the loss is unknown, does not support its settings, or requires ordered classes without `order`.
    """
    build = LOSSES.load(loss.name)
    if not build.ordinal:
        built: SupervisedLoss = build(loss, classes, class_counts)
        return built
    if order is None:
        raise InputError(
            "requires ordered classes",
            field="loss.name",
            given=loss.name,
            hint="If the classes of the task are listed in ascending order, set `ordered: true` in the task.",
        )
    ordinal: SupervisedLoss = build(loss, classes, class_counts, order=tuple(order))
    return ordinal
