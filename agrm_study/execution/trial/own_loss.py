"""Training loss of an epoch of a user-defined trainer."""

from __future__ import annotations

import math
from collections.abc import Mapping

from agrm_study.study.errors import InputError
from agrm_study.training.failures import NanLossError


def training_loss(returned: object, epoch: int, trainer: str) -> float | None:
    """The loss in the result of `Trainer.run_epoch`; None if the result is None or empty.

    Args:
        returned: Result of `Trainer.run_epoch`.
        epoch: Number of the epoch, from 1.
        trainer: Name of the trainer, for messages.

    Raises:
        InputError: If the result is anything other than a mapping with a number as `loss`.
        NanLossError: If the loss is infinite or NaN.
    """
    if returned is None or (isinstance(returned, Mapping) and not returned):
        return None
    rule, where = '`run_epoch` must return {"loss": NUMBER} or nothing', f"trainer {trainer}"
    if not isinstance(returned, Mapping):
        raise InputError(rule, where=where, given=type(returned).__name__)
    if "loss" not in returned:
        raise InputError(rule, where=where, given=f"the keys {', '.join(map(str, returned))}", allowed="loss")
    loss = returned["loss"]
    try:
        if isinstance(loss, str | bytes):
            raise TypeError
        number = float(loss)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor with several elements raises RuntimeError
        raise InputError(rule, where=where, given=f"a loss of type {type(loss).__name__}") from error
    if not math.isfinite(number):
        raise NanLossError(epoch, 0, {"mean training loss": number})
    return number
