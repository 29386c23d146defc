"""Layer names of backbones, for code that must not import torch at start-up."""

from __future__ import annotations

from collections.abc import Collection

from agrm_study.study.recipe import Model


def known_layers(model: Model) -> Collection[str]:
    """The valid values of `model.freeze`; torch is imported only when this function is called.

    Raises:
        InputError: If the backbone is unknown, or a user-defined backbone cannot be built.
    """
    from agrm_study.training.models.build import layer_names

    return layer_names(model)
