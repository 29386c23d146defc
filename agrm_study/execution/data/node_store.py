"""Location from which a worker reads the clip store: the original folder, or a copy on its node's disk.

Environment variables of the process that starts the study select one of three ways to share a store:

- none set: workers map the files where `run` built them (one machine, or a shared disk that is fast enough);
- ``AGRM_STUDY_LOCAL_STORE=DIR``: each node copies the store to that folder on its local disk, once, and reads the copy;
- ``AGRM_STUDY_SHARED_STORE=URI``: `run` uploads a finished store to that URI (``s3://…``, ``gs://…``), and each node
  downloads a copy. Use this for nodes that share no disk.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from agrm_study.execution.resources.folders import existing
from agrm_study.study.temporary import private_folder

OnBytes = Callable[[int, int], None]

LOCAL_VARIABLE: Final = "AGRM_STUDY_LOCAL_STORE"
SHARED_VARIABLE: Final = "AGRM_STUDY_SHARED_STORE"


def local_folder() -> str:
    """The node-local folder set in the caller's environment; empty if there is none."""
    return os.environ.get(LOCAL_VARIABLE, "")


def published(store: Path, on_bytes: OnBytes) -> str:
    """Location of a newly built store for workers: its folder, or a copy in the configured object storage."""
    shared = os.environ.get(SHARED_VARIABLE, "")
    if not shared:
        return str(store)
    from agrm_study.training.data.store import publish_store

    return publish_store(store, shared, on_bytes)


def node_store(store: str, local: str, on_bytes: OnBytes | None = None) -> Path:
    """The folder that this node reads from; copies the store if needed, in one process at a time.

    Args:
        local: Folder on a disk of each node; empty to read the store in place. The node's own environment takes
            precedence.

    Raises:
        InputError: If the store does not exist, or there is not enough space for a copy.
    """
    local = copy_folder(store, local)
    if not local:
        return Path(store)
    from agrm_study.training.data.store import fetch_store

    return fetch_store(store, local, on_bytes)


class Arrival:
    """A store that is being copied to this node in a separate thread."""

    def __init__(self, store: str, local: str) -> None:
        self._store, self._local = store, local
        self._note = "waiting for this node's clips"
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        if copy_folder(store, local):
            self._thread = threading.Thread(target=self._copy, name="clip store", daemon=True)
            self._thread.start()

    def wait(self, most_s: float) -> str:
        """Waits up to `most_s` seconds for the store; returns the operation in progress, or an empty string if done.

        Raises:
            InputError: If the store does not exist, or there is not enough space for a copy.
        """
        if self._thread is not None:
            self._thread.join(most_s)
            if self._thread.is_alive():
                return self._note
        if self._error is not None:
            raise self._error
        return ""

    def _copy(self) -> None:
        try:
            node_store(self._store, self._local, self._copied)
        except Exception as error:  # raised again in the waiting thread
            self._error = error

    def _copied(self, done: int, total: int) -> None:
        self._note = f"copying clips, {done / 1e9:.2f} of {total / 1e9:.2f} GB"


def copy_folder(store: str, local: str) -> str:
    """Folder of this node's copy of a store, from the environment or `local`; empty if the store is read in place."""
    local = local_folder() or local
    if "://" in store and not local:
        return str(private_folder())
    return local


def lacking_room(stores: Mapping[str, int], local: str) -> str:
    """Reason why this node cannot copy its missing stores (bytes by path or URI); empty if it can."""
    needed: dict[Path, int] = {}
    for store, size in stores.items():
        if folder := copy_folder(store, local):
            there = (Path(folder) / store.partition("?")[0].rstrip("/").rpartition("/")[2]).exists()
            needed[Path(folder)] = needed.get(Path(folder), 0) + (0 if there else size)
    for target, size in needed.items():
        free = shutil.disk_usage(existing(target)).free
        if size > free:
            return f"{free / 1e9:.2f} GB free for {size / 1e9:.2f} GB of clip stores in {target}"
    return ""
