"""Identity of a trial: a hash of everything that can change its outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from agrm_study.plan.acting import acting_members
from agrm_study.plan.canonical import canonical_object, digest, member, scalar_member
from agrm_study.plan.trial import Phase
from agrm_study.study.errors import InputError
from agrm_study.study.parts.kinds import KINDS
from agrm_study.study.recipe import AGRM, Recipe
from agrm_study.study.settings import value_of

IDENTITY_VERSION: Final = 1
"""Incremented when the meaning of a setting changes, so that old records are not reused."""

ADDED_LATER: Final[Mapping[str, Any]] = {kind.options: {} for kind in KINDS.values() if kind.options} | {
    "steps_per_epoch": None,
    "optimizer.schedule": "plateau",
    "optimizer.plateau_armed": False,
    "deterministic": False,
    "tf32": "convolutions",
    "ssl.batch_norm": "separate",
    "evaluate.ema": False,
    "ssl.threshold.alignment": "none",
    "ssl.threshold.fairness": 0.0,
    "ssl.pseudo.uncertainty": "none",
    "ssl.pseudo.uncertainty_max": 0.05,
    "ssl.pseudo.uncertainty_passes": 8,
    "data.remainder": "drop",
    "shuffle_labels": False,
    "ssl.ema.memory_epochs": None,
    "ssl.threshold.memory_epochs": None,
    "model.freeze": [],
    "training.trainer": AGRM,
    "training.patience": None,
    "optimizer.layer_decay": 1.0,
    "data.first_fold": "dealt",
    "data.fold_group": "subject",
    "ssl.views": 1,
    "augment.strong.reverse": 0.0,
    "augment.strong.warp": 0.0,
    "augment.strong.tubes": 0.0,
    "augment.strong.tube_grid": 14,
}
"""Settings added after the first records were written, with the value that reproduces the earlier behaviour; with that
value they are excluded from the identity, so that no trial is rerun after an upgrade. Dotted name → plain value."""

CONTENT: Final = ("data.split_file", "model.weights")
"""Settings that contain the path of a file; the content of the file, not its path, is part of the identity."""

IDENTITY: Final = member("identity_version", IDENTITY_VERSION)

FileHash = Callable[[Path], str]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise InputError(f"the file cannot be read: {fault.strerror}", where=path) from None


def configuration(
    recipe: Recipe, *, data_fingerprint: str, phase: Phase = "final", hash_file: FileHash = file_hash
) -> dict[str, str]:
    """Everything except seeds and split that can change a trial's outcome, as members of a canonical JSON object.

    Resources, names, file paths and settings without effect (`acting.RULES`) are excluded.

    Args:
        recipe: Recipe, including its task.
        data_fingerprint: Fingerprint of the manifest's content.
        phase: ``search`` or ``final``; a search trial has no test predictions and cannot replace a final trial.
        hash_file: Hashes the files specified in the recipe.

    Raises:
        InputError: If a file specified in the recipe cannot be read.
    """
    members = content_members(recipe, hash_file)
    members["data_fingerprint"] = member("data_fingerprint", data_fingerprint)
    if phase != "final":
        members["phase"] = member("phase", phase)
    return members


def content_members(recipe: Recipe, hash_file: FileHash) -> dict[str, str]:
    """`acting_members` with file names replaced by content hashes, and without the settings that `ADDED_LATER`
    excludes. User-defined parts are identified by their full names, which include the hash of their source.

    Raises:
        InputError: If a file specified in the recipe cannot be read.
    """
    members = acting_members(recipe)
    for name in CONTENT:
        path = value_of(recipe, name)
        if name in members and path is not None:
            members[name] = member(name, hash_file(Path(path)))
    for name, value in ADDED_LATER.items():
        if members.get(name) == member(name, value):
            del members[name]
    return members


def config_id(configuration: Mapping[str, str]) -> str:
    """Identity of the configuration shared by the replicates of an arm on a task: 16 hexadecimal digits.

    Args:
        configuration: Result of `configuration`.
    """
    whole = f'"configuration":{canonical_object(configuration)}'
    return digest(canonical_object({"configuration": whole, "identity_version": IDENTITY}))


def trial_id(config: str, *, seed: int, split_seed: int, split_fingerprint: str) -> str:
    """Identity of a trial: 16 hexadecimal digits computed from its `config_id`, its seeds and its split.

    Args:
        config: The `config_id`.
        seed: Training seed.
        split_seed: Seed of the split.
        split_fingerprint: Fingerprint of the parts of the split that the trial reads.
    """
    content = {
        "config": scalar_member("config", config),
        "seed": f'"seed":{seed:d}',
        "split_seed": f'"split_seed":{split_seed:d}',
        "split_fingerprint": scalar_member("split_fingerprint", split_fingerprint),
    }
    return digest(canonical_object({"identity_version": IDENTITY, "trial": f'"trial":{canonical_object(content)}'}))
