"""Crash-safe checkpoints from which a training run resumes after its last saved epoch.

A checkpoint consists of ``rolling.pt``, the state after the last saved epoch, and ``best.safetensors``, the networks of
the best epoch. New best weights are first written next to the old ones. Then the rolling file that refers to the new
weights is written, and finally the new weights replace the old ones. The rolling file and its best weights are
therefore consistent regardless of when the process is killed.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from agrm_study.study.recipe import Recipe
from agrm_study.study.temporary import folder_in, replacing
from agrm_study.training.failures import CheckpointError

FORMAT = 1
"""Increment if the format of checkpoints changes."""
ROLLING = "rolling.pt"
BEST = "best.safetensors"
_NEXT_BEST = "best.next.safetensors"


def trial_identity(recipe: Recipe, data_fingerprint: str, split_fingerprint: str) -> str:
    """Hash of everything that affects the outcome of a training run; file locations are excluded."""
    settings = recipe.settings()
    for location in ("manifest", "split_file"):
        settings["data"].pop(location)
    content = json.dumps([settings, data_fingerprint, split_fingerprint], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def save_checkpoint(
    folder: Path,
    identity: str,
    state: Mapping[str, Any],
    *,
    best_epoch: int,
    best: Mapping[str, Tensor] | None,
) -> None:
    """Replace the checkpoint in a folder.

    Args:
        folder: Folder of the checkpoint; created if necessary.
        identity: Identity of the trial.
        state: Tensors and plain values (readable by `torch.load` with ``weights_only=True``).
        best_epoch: Epoch of the best weights; 0 if there are none yet.
        best: The best weights, or None if they have already been saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if best is not None:
        header = {"format": str(FORMAT), "identity": identity, "epoch": str(best_epoch)}
        with folder_in(folder, _NEXT_BEST) as place:  # safetensors writes to a temporary file first
            save_file({name: tensor.contiguous() for name, tensor in best.items()}, place / BEST, metadata=header)
            (place / BEST).replace(folder / _NEXT_BEST)
    content = {"format": FORMAT, "identity": identity, "best_epoch": best_epoch, "state": dict(state)}
    with replacing(folder / ROLLING) as file:
        torch.save(content, file)
    if best is not None:
        (folder / _NEXT_BEST).replace(folder / BEST)


def load_checkpoint(folder: Path, identity: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Load the state and the best weights (empty if there are none yet), or None if the folder has no checkpoint.

    Raises:
        CheckpointError: If the checkpoint belongs to a different trial, has a different format, or is damaged.
    """
    path = folder / ROLLING
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError) as error:
        raise CheckpointError(
            path, f"the checkpoint cannot be read ({_first_line(error)}); remove it to start over"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise CheckpointError(
            path, f"the checkpoint must have format {FORMAT}, found {found!r}; finish the trial with "
            "the version that wrote it, or remove it to start over",
        )  # fmt: skip
    if content["identity"] != identity:
        raise CheckpointError(
            path,
            f"the checkpoint belongs to a different trial ({content['identity'][:16]}, expected {identity[:16]}): "
            "settings, data or split differ",
        )  # fmt: skip
    best = load_best(folder, identity, content["best_epoch"]) if content["best_epoch"] else {}
    return content["state"], best


def load_best(folder: Path, identity: str, epoch: int) -> dict[str, Tensor]:
    """Load the best weights of a trial.

    Raises:
        CheckpointError: If the folder has no weights for this trial and epoch.
    """
    wanted = {"format": str(FORMAT), "identity": identity, "epoch": str(epoch)}
    for path in (folder / BEST, folder / _NEXT_BEST):
        if path.is_file() and _header(path) == wanted:
            weights: dict[str, Tensor] = load_file(path)
            if path.name == _NEXT_BEST:
                path.replace(folder / BEST)
            return weights
    raise CheckpointError(
        folder / BEST, f"the best weights (epoch {epoch}) are missing; remove {ROLLING} to start over"
    )


def drop_rolling(folder: Path) -> None:
    """Remove the files that only an unfinished trial needs; the best weights are kept."""
    for name in (ROLLING, _NEXT_BEST):
        (folder / name).unlink(missing_ok=True)


def _header(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(path, f"the best weights cannot be read ({_first_line(error)})") from error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
