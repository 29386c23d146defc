"""Loading of pre-trained weights from a local file into a network."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from agrm_study.study.counted import some
from agrm_study.study.errors import InputError
from agrm_study.training.models.network import VideoClassifier

_WRAPPERS: Final = ("state_dict", "model_state_dict", "model_state", "model")
"""Keys under which training scripts store the state dict in a checkpoint."""
_PREFIXES: Final = ("module.", "_orig_mod.")
"""Key prefixes added by DataParallel and torch.compile."""
_CLASSIFIERS: Final = ("fc", "head", "fc8", "classifier")
"""Names of the last layer, or of the sequence that ends with it, in the published weights from torchvision, UniFormer
and C3D."""
_FIELD: Final = "model.weights"
_SHOWN: Final = 6


def load_weights(model: VideoClassifier, path: Path) -> list[str]:
    """Copy weights from a local file into a network.

    The keys must be the keys of the published weights (from torchvision, except for C3D and UniFormer). Head layers
    whose shape differs from the shape in the file (different classes or pooling) keep their initial weights.

    Args:
        model: The network, on any device; modified in place.
        path: A `.safetensors` file, or a file readable by `torch.load(weights_only=True)`.

    Returns:
        One message for each entry that was not loaded.

    Raises:
        InputError: If the file does not exist or is unreadable, keys are missing or unexpected, or a backbone weight
            has a different shape. The network is then unchanged.
    """
    own = model.state_dict()
    found = _plain_keys(_read(path), model)
    head = {key for key in own if key.split(".")[0] in model.head_names}
    foreign_head = {key for key in found if key.split(".")[0] in {*model.head_names, *_CLASSIFIERS}}
    counters = {key for key in own if key.endswith(".num_batches_tracked")}

    _refuse("must contain every weight of the backbone", "missing", set(own) - set(found) - head - counters, path)
    _refuse("must contain only weights of this backbone", "unexpected", set(found) - set(own) - foreign_head, path)
    differing = [key for key in found if key in own and key not in head and found[key].shape != own[key].shape]
    _refuse(
        "must have the shapes of this backbone (width and depth)",
        "differing",
        {f"{key} {tuple(found[key].shape)}, expected {tuple(own[key].shape)}" for key in differing},
        path,
    )

    taken = {key: value for key, value in found.items() if key in own and value.shape == own[key].shape}
    messages = [_dropped(key, found[key], own) for key in sorted(foreign_head - set(taken))]
    messages += [f"{key}: not in the file; keeps its initial values" for key in sorted(head - set(found))]
    if counters - set(found):
        messages.append("num_batches_tracked: not in the file; the batch counters start at 0")
    model.load_state_dict(taken, strict=False)
    return messages


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InputError("must be an existing file", field=_FIELD, given=str(path))
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            "must be a file of tensors that loads without executing code",
            field=_FIELD,
            given=str(path),
            allowed=".safetensors, or a .pth/.pt file readable by torch.load(weights_only=True)",
            hint="Save only the state dict, preferably as .safetensors.",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise InputError("must be a readable weights file", field=_FIELD, given=str(path), hint=f"{error}") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise InputError("must contain a state dict (name → tensor)", field=_FIELD, given=str(path))
    return content


def _plain_keys(content: Mapping[str, Any], model: VideoClassifier) -> dict[str, Tensor]:
    """Tensors by key, without wrapper prefixes, with this package's stage names, and with a linear classifier `fc`."""
    layers = {name for name, _ in model.named_children()}
    plain: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(value, Tensor):
            continue
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
        first, dot, rest = key.partition(".")
        if first in _CLASSIFIERS and first not in layers - {"fc"}:
            key = f"fc.{key.rpartition('.')[2]}"
            value = value.flatten(1) if value.ndim > 2 else value  # a convolution with a kernel of 1
        elif first not in layers:
            key = f"{model.published_names.get(first, first)}{dot}{rest}"
        plain[key] = value
    return plain


def _dropped(key: str, value: Tensor, own: Mapping[str, Tensor]) -> str:
    if key not in own:
        return f"{key}: not part of this head; ignored"
    shapes = f"{tuple(value.shape)} in the file, {tuple(own[key].shape)} in the network"
    return f"{key}: {shapes}; ignored, the head keeps its initial values"


def _refuse(rule: str, what: str, keys: Iterable[str], path: Path) -> None:
    names = sorted(keys)
    if names:
        raise InputError(rule, field=_FIELD, given=str(path), hint=f"{what.capitalize()}: {some(names, _SHOWN)}.")
