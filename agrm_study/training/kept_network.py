"""Networks of finished trials, restored from their saved weights."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Final

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe
from agrm_study.study.reported import reported_network
from agrm_study.training.models.build import build_model
from agrm_study.training.models.network import VideoClassifier
from agrm_study.training.outcome import Network
from agrm_study.training.ssl.losses.supervised import SupervisedLoss

_HEADER_LENGTH: Final = struct.Struct("<Q")
"""Length of the JSON header, stored at the start of a safetensors file."""


def kept_weights(content: bytes, epoch: int, where: str) -> dict[str, Tensor]:
    """Weights in a ``best.safetensors`` file, by network and parameter (``teacher.conv1.weight``).

    Args:
        content: Content of the file.
        epoch: The recorded best epoch.
        where: Location of the file, for messages.

    Raises:
        InputError: If the content cannot be read, or the weights belong to a different epoch.
    """
    try:
        weights: dict[str, Tensor] = load(content)
        found = _metadata(content).get("epoch")
    except (SafetensorError, ValueError, struct.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError("the weights cannot be read", where=where, hint=f"{reason}.") from None
    if found != str(epoch):
        raise InputError(
            "the weights must be from the recorded best epoch", where=where, given=found, allowed=str(epoch)
        )
    return weights


def kept_network(
    recipe: Recipe, loss: SupervisedLoss, weights: Mapping[str, Tensor], where: str
) -> tuple[Network, VideoClassifier]:
    """Name of a trial's reported network, and the network on the CPU, in eval mode and without gradients.

    Args:
        recipe: Settings of the trial.
        loss: Supervised loss of the trial, which determines the number of outputs.
        weights: Weights returned by `kept_weights`.
        where: Location of the weights file, for messages.

    Raises:
        InputError: If the weights do not match the network.
    """
    asked = reported_network(recipe)
    name: Network = asked if any(key.startswith(f"{asked}.") for key in weights) else "student"
    network = build_model(
        recipe.model,
        n_outputs=loss.n_outputs(len(recipe.classes)),
        frames=recipe.clip.frames,
        size=recipe.clip.size,
        seed=recipe.seed,
    )
    prefix = f"{name}."
    state = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise InputError(
            f"the weights must belong to the recorded network ({recipe.model.backbone}, {name})", where=where
        ) from None
    network.requires_grad_(False)
    return name, network.eval()


def _metadata(content: bytes) -> dict[str, str]:
    start = _HEADER_LENGTH.size
    header = json.loads(content[start : start + _HEADER_LENGTH.unpack_from(content)[0]])
    found = header.get("__metadata__", {})
    return found if isinstance(found, dict) else {}
