"""Names of the layers of backbones, for code that must not import torch at start-up."""

from __future__ import annotations

from collections.abc import Collection

from agrm_study.study.recipe import Model


def known_layers(model: Model) -> Collection[str]:
    """The valid values of `model.freeze`; imports torch only when called, since few studies need it.

    Raises:
        InputError: If the backbone is unknown, or a user-defined backbone cannot be built.
    """
    from agrm_study.training.models.build import layer_names

    return layer_names(model)
