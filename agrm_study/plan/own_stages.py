"""Initial epochs of a user-defined trainer that it declares as shared between trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agrm_study.study.errors import InputError, did_you_mean
from agrm_study.study.parts.loaded import own_class
from agrm_study.study.parts.names import short_name
from agrm_study.study.recipe import Recipe

EPOCHS: Final = "epochs"
"""Name that represents the trial's number of epochs in a declaration."""


@dataclass(frozen=True, slots=True)
class DeclaredEpochs:
    """Result of `Trainer.shared_epochs`.

    Attributes:
        last: The last shared epoch, at most the last epoch of the trial; 0 if no epochs are shared.
        names: The options (and `EPOCHS`) that can affect these epochs.
    """

    last: int
    names: frozenset[str]


def declared_epochs(recipe: Recipe) -> DeclaredEpochs:
    """The epochs that the trainer of a recipe declares as shared; see `declaration`."""
    return declaration(recipe.training.trainer, recipe.training.options, recipe.epochs)


def declaration(name: str, options: Mapping[str, Any], epochs: int) -> DeclaredEpochs:
    """The epochs that a trainer declares as shared; its code is executed.

    Args:
        name: Full name of the trainer.
        options: Options of the trainer.
        epochs: Number of epochs of the trial.

    Raises:
        InputError: If the trainer raises an error, returns a value of a different type, or declares an option that it
            does not have.
    """
    trainer, where = own_class("trainer", name), f"trainer {short_name(name)}"
    try:
        found = trainer.shared_epochs(trainer.options_of(options))
    except Exception as error:  # user code may raise any error
        raise InputError(f"`shared_epochs` raises {type(error).__name__}: {error}", where=where) from error
    match found:
        case (int() as last, list() | tuple() | set() | frozenset() as names) if (
            last >= 0 and not isinstance(last, bool) and all(isinstance(each, str) for each in names)
        ):
            pass
        case _:
            rule = "`shared_epochs` must return a number of epochs and a list of option names"
            raise InputError(rule, where=where, given=found)
    known = [*trainer.Options.model_fields, EPOCHS]
    if unknown := sorted(set(names) - set(known)):
        raise InputError(
            "`shared_epochs` must list options of the trainer",
            where=where,
            given=unknown[0],
            allowed=", ".join(known),
            hint=did_you_mean(unknown[0], known),
        )
    return DeclaredEpochs(min(last, epochs), frozenset(names))
