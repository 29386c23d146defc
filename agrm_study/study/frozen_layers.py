"""Valid layer names for `model.freeze`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.recipe import Model

FREEZE: Final = "model.freeze"
WHOLE: Final = "backbone"
"""Name that denotes all stages of a backbone."""

LayerNames = Callable[[Model], Collection[str]]
"""Function that returns the dotted names of all layers of a backbone, including its stages in order."""


def unknown_layers(frozen: Iterable[str], layers: Collection[str]) -> list[InputError]:
    """One error for each given name that is not a layer of the backbone."""
    stages = [name for name in layers if "." not in name]
    return [
        InputError(
            "this backbone has no layer with that name",
            field=FREEZE,
            given=name,
            allowed=f"{WHOLE}, {', '.join(stages)}, and the layers inside them",
            hint=did_you_mean(name, layers),
        )
        for name in frozen
        if name != WHOLE and name not in layers
    ]


def frozen_layer_errors(model: Model, layers: LayerNames) -> list[InputError]:
    """One error for each name in `model.freeze` that is not a layer, or a single error if the model cannot be built."""
    if set(model.freeze) <= {WHOLE}:
        return []
    try:
        known = layers(model.model_copy(update={"freeze": ()}))  # one network for all values of `freeze`
    except InputError as problem:
        return [problem]
    return unknown_layers(model.freeze, known)
