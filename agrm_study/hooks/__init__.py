"""Where else can a study be looked at? Each hook is one file and one line here.

Its class is loaded when it is asked for. A hook is fed from the records: a study that ran without it can be shown by it
at any time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from agrm_study.study.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from agrm_study.hooks.base import Hook

__all__ = ["HOOKS", "hook_class"]

HOOKS: dict[str, str] = {
    "tensorboard": "agrm_study.hooks.to_tensorboard:TensorBoardHook",
    "mlflow": "agrm_study.hooks.to_mlflow:MlflowHook",
    "wandb": "agrm_study.hooks.to_wandb:WandbHook",
    "optuna": "agrm_study.hooks.to_optuna:OptunaHook",
}
"""Name on the command line → class."""


def hook_class(name: str) -> type[Hook]:
    """The class of a hook; the package that it writes for is not imported yet.

    Raises:
        InputError: There is no such hook.
    """
    if name not in HOOKS:
        raise InputError(
            "does not exist", field="--to", given=name, allowed=", ".join(HOOKS), hint=did_you_mean(name, HOOKS)
        )
    module, _, attribute = HOOKS[name].partition(":")
    found: type[Hook] = getattr(import_module(module), attribute)
    return found
