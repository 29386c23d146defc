"""When are two trials the same trial?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from agrm_study.plan.acting import acting_settings
from agrm_study.plan.trial import Phase
from agrm_study.study.errors import InputError
from agrm_study.study.recipe import Recipe

IDENTITY_VERSION: Final = 1
"""Raised when the meaning of a setting changes, so that no old record passes for a new trial."""

ADDED_LATER: Final[Mapping[str, Any]] = {}
"""Settings that were added after records had been written, with the value that means what was done before; at that
value they stay outside the identity, so that an upgrade re-adds no trial. Dotted name → plain value."""

CONTENT: Final = ("data.split_file", "model.weights")
"""Settings that name a file whose content counts, not its place."""

SEEDS: Final = ("seed", "split_seed")
"""What tells the replicates of an arm apart."""

FileHash = Callable[[Path], str]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        InputError: When the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise InputError(f"the file cannot be read: {fault.strerror}", where=path) from None


def canonical_json(value: Any) -> str:
    """JSON in which equal values are equal text: keys sorted, no spaces, 1.0 as 1, -0.0 as 0, floats by their shortest
    repr.

    Raises:
        ValueError: For values that are not finite.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def configuration(
    recipe: Recipe, *, data_fingerprint: str, phase: Phase = "final", hash_file: FileHash = file_hash
) -> dict[str, Any]:
    """What can change the outcome of a trial, seeds and split aside, as plain values.

    Resources, names, places of files and settings that cannot act (`acting.RULES`) are not in it.

    Args:
        recipe: With its task.
        data_fingerprint: Of the manifest's content.
        phase: A search trial keeps no test prediction, so it never passes for a final one.
        hash_file: Hashes the files that the recipe names.

    Raises:
        InputError: When such a file cannot be read.
    """
    settings = {name: value for name, value in acting_settings(recipe).items() if name not in SEEDS}
    for name in CONTENT:
        if settings.get(name) is not None:
            settings[name] = hash_file(Path(settings[name]))
    kept = {name: value for name, value in settings.items() if name not in ADDED_LATER or value != ADDED_LATER[name]}
    return kept | {"data_fingerprint": data_fingerprint} | ({} if phase == "final" else {"phase": phase})


def config_id(configuration: Mapping[str, Any]) -> str:
    """Identity of what the replicates of an arm on a task have in common: 16 hexadecimal digits."""
    return digest({"identity_version": IDENTITY_VERSION, "configuration": configuration})


def trial_id(config: str, *, seed: int, split_seed: int, split_fingerprint: str) -> str:
    """Identity of a trial: 16 hexadecimal digits over its `config_id`, its seeds and its split.

    Args:
        config: The `config_id`.
        seed: Of the training.
        split_seed: Of the split.
        split_fingerprint: Of the parts of the split that the trial can see.
    """
    content = {"config": config, "seed": seed, "split_seed": split_seed, "split_fingerprint": split_fingerprint}
    return digest({"identity_version": IDENTITY_VERSION, "trial": content})


def digest(value: Any) -> str:
    """16 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
