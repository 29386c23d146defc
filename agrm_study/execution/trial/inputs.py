"""Manifest, split and clip store of trials, read once per process and shared by later trials."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from agrm_study.execution.data.node_store import Arrival, node_store
from agrm_study.execution.trial.runner import TrialRunner
from agrm_study.execution.trial.work import Work, WorkerSettings
from agrm_study.plan.trial import TrialSpec
from agrm_study.study.data_settings import Data
from agrm_study.study.errors import InputError
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import Split, make_split
from agrm_study.training.data.store import ClipStore

FETCH_S: Final = 2.0
"""Seconds between two progress notes while a store is being copied."""


class StoreRunner(TrialRunner):
    """A runner of trials that read a clip store."""

    def __init__(self) -> None:
        self._arrival: Arrival | None = None

    def fetch(self, work: Work, settings: WorkerSettings) -> str:
        self._arrival = self._arrival or Arrival(work.store, settings.local_store)
        return self._arrival.wait(FETCH_S)


def require_planned(trial: TrialSpec, manifest: Manifest, split: Split, where: str, *, by: str, hint: str) -> None:
    """Check that the data match the trial's plan.

    Args:
        where: Path of the manifest, for the message.
        by: What was planned with the data: ``study`` or ``evaluation``.
        hint: Remedy if the data have changed.

    Raises:
        InputError: If a fingerprint differs.
    """
    found, planned = (manifest.fingerprint, split.fingerprint), (trial.data_fingerprint, trial.split_fingerprint)
    if found != planned:
        raise InputError(
            f"the data must be unchanged since the {by} was planned",
            where=where,
            given=f"fingerprints {', '.join(found)}",
            allowed=", ".join(planned),
            hint=hint,
        )


@lru_cache(maxsize=2)
def manifest_at(path: str) -> Manifest:
    """A manifest; the videos may be on a different machine, since a trial reads the store."""
    return read_manifest(path, require_files=False)


@lru_cache(maxsize=8)
def split_of(path: str, data: str, split_seed: int) -> Split:
    """The split of a manifest for given data settings (JSON) and a seed."""
    return make_split(manifest_at(path), Data.model_validate_json(data), split_seed)


@lru_cache(maxsize=2)
def store_at(path: str, local: str) -> ClipStore:
    """A clip store, or this node's copy of it."""
    return ClipStore.open(node_store(path, local))
