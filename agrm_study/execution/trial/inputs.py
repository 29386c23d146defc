"""Manifest, split and clip store of trials, read once per process and shared by later trials."""

from __future__ import annotations

from functools import lru_cache

from agrm_study.execution.data.node_store import node_store
from agrm_study.study.data_settings import Data
from agrm_study.training.data.manifest import Manifest, read_manifest
from agrm_study.training.data.splits import Split, make_split
from agrm_study.training.data.store import ClipStore


@lru_cache(maxsize=2)
def manifest_at(path: str) -> Manifest:
    """A manifest; the videos may be on another machine, as a trial reads the store."""
    return read_manifest(path, require_files=False)


@lru_cache(maxsize=8)
def split_of(path: str, data: str, split_seed: int) -> Split:
    """The split of a manifest by data settings (JSON) and a seed."""
    return make_split(manifest_at(path), Data.model_validate_json(data), split_seed)


@lru_cache(maxsize=2)
def store_at(path: str, local: str) -> ClipStore:
    """A clip store, or this node's copy of it."""
    return ClipStore.open(node_store(path, local))
