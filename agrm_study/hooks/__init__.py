"""Registry of hooks, which export a study's records to external trackers.

To add a hook, write a module and add an entry to `_SHIPPED`. Classes are loaded on demand. Hooks read the records, so a
study can be exported at any time, even if it was run without the hook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agrm_study.study.parts.registry import Registry

if TYPE_CHECKING:
    from agrm_study.hooks.base import Hook

__all__ = ["HOOKS", "hook_class"]

_SHIPPED: dict[str, str] = {
    "tensorboard": "agrm_study.hooks.to_tensorboard:TensorBoardHook",
    "mlflow": "agrm_study.hooks.to_mlflow:MlflowHook",
    "wandb": "agrm_study.hooks.to_wandb:WandbHook",
    "optuna": "agrm_study.hooks.to_optuna:OptunaHook",
}
HOOKS = Registry("hook", _SHIPPED)
"""Name on the command line → `module:Class`."""


def hook_class(name: str) -> type[Hook]:
    """The class of a hook; does not import the tracker's package.

    Raises:
        InputError: If the hook is unknown; the message lists the known names.
    """
    found: type[Hook] = HOOKS.load(name)
    return found
