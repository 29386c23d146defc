"""Where does a worker read the clip store: where it was built, or from a copy on its node's own disk?

Three ways to share a store, by environment variables of the process that starts the study:

- nothing set: workers map the files where `run` built them (one machine, or a shared disk that is fast enough);
- ``AGRM_STUDY_LOCAL_STORE=DIR``: each node copies the store to that folder of its own disk, once, and reads the copy;
- ``AGRM_STUDY_SHARED_STORE=URI``: `run` puts a finished store there (``s3://…``, ``gs://…``), and each node copies it
  from there. For nodes that share no disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOCAL_VARIABLE: Final = "AGRM_STUDY_LOCAL_STORE"
SHARED_VARIABLE: Final = "AGRM_STUDY_SHARED_STORE"


def local_folder() -> str:
    """The node-local folder that the caller's environment names; empty for none."""
    return os.environ.get(LOCAL_VARIABLE, "")


def published(store: Path) -> str:
    """Where workers find a store that was just built: here, or at the place of object storage that is named.

    Raises:
        InputError: That place cannot be written.
    """
    shared = os.environ.get(SHARED_VARIABLE, "")
    if not shared:
        return str(store)
    from agrm_study.training.data.store import publish_store

    return publish_store(store, shared)


def node_store(store: str, local: str) -> Path:
    """The folder that this node reads; copies the store when it has to, one process at a time.

    Args:
        store: Path or URI of a finished store.
        local: Folder on a disk of each node; empty to read in place. The node's own environment goes first.

    Raises:
        InputError: There is no store, or no room for a copy.
    """
    local = copy_folder(store, local)
    if not local:
        return Path(store)
    from agrm_study.training.data.store import fetch_store

    return fetch_store(store, local)


def copy_folder(store: str, local: str) -> str:
    """Where this node puts its copy of a store; empty where it reads the store in place.

    Args:
        store: Path or URI of a finished store.
        local: What the run asks for; this node's own environment goes first.
    """
    local = local_folder() or local
    if "://" in store and not local:
        return str(Path(tempfile.gettempdir()) / f"agrm-study-{os.getuid()}")
    return local


def lacking_room(stores: Mapping[str, int], local: str) -> str:
    """What hinders this node from copying stores, in words; empty for nothing.

    Args:
        stores: Bytes of each store, by its path or URI; those that this node has already are not counted.
        local: As of `copy_folder`.
    """
    needed: dict[Path, int] = {}
    for store, size in stores.items():
        if folder := copy_folder(store, local):
            there = (Path(folder) / store.partition("?")[0].rstrip("/").rpartition("/")[2]).exists()
            needed[Path(folder)] = needed.get(Path(folder), 0) + (0 if there else size)
    for target, size in needed.items():
        place = target.absolute()
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if size > free:
            return f"{free / 1e9:.2f} GB free for {size / 1e9:.2f} GB of clip stores in {target}"
    return ""
