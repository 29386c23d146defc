"""Kinds of parts: their names, the setting that selects them in a study, and their contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of part.

    Attributes:
        name: Name of the kind and of its decorator.
        plural: Plural, for messages.
        field: Dotted name of the setting, or the command-line option, that selects such a part.
        contract: Base class of such parts, as ``module:Class``.
        options: Dotted name of the setting with the options of the part; empty if such parts have no options.
    """

    name: str
    plural: str
    field: str
    contract: str
    options: str = ""

    @property
    def in_recipe(self) -> bool:
        """Whether parts of this kind affect training, and therefore the identity of trials."""
        return bool(self.options)


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("backbone", "backbones", "model.backbone", "agrm_study.training.models.backbones.base:Backbone",
             "model.options"),
        Kind("pooling", "pooling layers", "model.pooling.name", "agrm_study.training.models.pooling.base:Pooling",
             "model.pooling.options"),
        Kind("threshold", "threshold policies", "ssl.threshold.policy",
             "agrm_study.training.ssl.thresholds.policy:ThresholdPolicy", "ssl.threshold.options"),
        Kind("loss", "losses", "loss.name", "agrm_study.training.ssl.losses.supervised:SupervisedLoss",
             "loss.options"),
        Kind("trainer", "trainers", "training.trainer", "agrm_study.training.trainer:Trainer", "training.options"),
        Kind("layout", "layouts", "--layout", "agrm_study.training.data.datasets.layout:Layout"),
        Kind("table", "tables", "report.tables", "agrm_study.report.tables.base:TableKind"),
        Kind("figure", "figures", "report.figures", "agrm_study.report.figures.base:FigureKind"),
        Kind("hook", "hooks", "--to", "agrm_study.hooks.base:Hook"),
    )
}  # fmt: skip
"""The kinds by name."""
