"""Names that a study file may use for what layers above the study define."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agrm_study.study.study import Study


def known_names() -> Mapping[str, Collection[str]]:
    """Names that exist, by the dotted field that holds them; read without importing what they name."""
    from agrm_study.report.figures import FIGURES
    from agrm_study.report.tables import TABLES
    from agrm_study.training.models.backbones import BACKBONES
    from agrm_study.training.models.pooling import POOLING
    from agrm_study.training.ssl.losses import LOSSES
    from agrm_study.training.ssl.thresholds import POLICIES

    return {
        "model.backbone": BACKBONES,
        "model.pooling.name": POOLING,
        "ssl.threshold.policy": POLICIES,
        "loss.name": LOSSES,
        "report.tables": TABLES,
        "report.figures": FIGURES,
    }


def read_study(study: Path, overrides: tuple[str, ...], preset: str | None) -> Study:
    """The study of a command line.

    Raises:
        InputError: Anything wrong with the file, the preset or an option.
    """
    from agrm_study.study.load import load_study

    return load_study(study, overrides=overrides, preset=preset, names=known_names())
