"""Log of weights removed by `clean` or because their arm is not reported: ``checkpoints/removed.json``.

The file contains the digests of the removed weights by trial. A finished trial without weights counts as damaged and is
retrained unless it is listed in the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from agrm_study.records.integrity import WEIGHTS
from agrm_study.records.location import Location
from agrm_study.records.parsing import read_typed

FILE: Final = "removed.json"
VERSION: Final = 1
REMOVED: Final = (
    "the weights of this trial were removed, by `agrm-study clean` or because its arm is not reported "
    "(`keep_weights: reported`)"
)
NOT_KEPT: Final = "the weights of this trial were not kept"


@dataclass(frozen=True, slots=True)
class _Removed:
    """The content of the file: the digest of the removed weights by trial id; null in records without digests."""

    weights: dict[str, str | None] = field(default_factory=dict)


def removed_weights(results: Location) -> dict[str, str | None]:
    """Digests of the removed weights, by trial id; empty if the file is missing or unreadable."""
    found = read_typed(_Removed, _file(results), removed_version=VERSION)
    return {} if found is None else found.weights


def note_removed(results: Location, weights: Mapping[str, str | None]) -> None:
    """Adds trials to the file, atomically; call it before their weights are removed.

    Raises:
        OSError: If the storage rejects a request.
    """
    noted = _Removed({**removed_weights(results), **weights})
    text = json.dumps({"removed_version": VERSION, **asdict(noted)}, indent=1)
    _file(results).write_atomic(f"{text}\n".encode())


def without_removed(results: Location, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The trials whose weights must exist.

    Args:
        results: Results folder.
        stored: ``weights_digest`` by trial id.

    Returns:
        `stored` without the trials whose weights (with the same digest) were removed and do not exist.
    """
    removed = removed_weights(results)
    return {
        trial_id: digest
        for trial_id, digest in stored.items()
        if removed.get(trial_id) != digest or (results / "checkpoints" / trial_id / WEIGHTS).exists()
    }


def why_without_weights(results: Location, trial_id: str) -> str:
    """Reason why a finished trial has no weights, worded as the rule of an error message."""
    return REMOVED if trial_id in removed_weights(results) else NOT_KEPT


def _file(results: Location) -> Location:
    return results / "checkpoints" / FILE
