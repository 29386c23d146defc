"""How does a store travel between machines that share no disk, or only a slow one?

Whoever built it puts a copy where all can read it (`publish_store`); each node takes a copy of its own, once
(`fetch_store`). Stores are named by their content, so a copy that is there is the right one.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from agrm_study.study.errors import InputError
from agrm_study.training.data.store.layout import STORE_FILE
from agrm_study.training.data.store.lock import locked

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

RESERVE = 64 << 20
"""Bytes that stay free on a node's disk."""


def fetch_store(source: Path | str, cache: Path | str) -> Path:
    """A local copy of a finished store, made once a node, whole or not at all.

    Args:
        source: Folder of a finished store: a path, or a URI that Arrow can read (`s3://…`, `gs://…`).
        cache: Local folder of stores; a store that already lies in it is not copied.

    Raises:
        InputError: There is no finished store at the source, it cannot be reached, or the disk has no room for it.
    """
    from pyarrow import ArrowException, fs

    cache = Path(cache).expanduser().absolute()
    try:
        system, root = _place(source)
        key = root.rstrip("/").rsplit("/", 1)[-1]
        final = cache / key
        with locked(cache / f".{key}.lock"):
            if (final / STORE_FILE).is_file():
                return final
            if system.get_file_info(f"{root}/{STORE_FILE}").type != fs.FileType.File:
                raise InputError("there is no finished clip store", where=str(source))
            _check_room(system, root, cache, source)
            partial = cache / f".{key}.{uuid.uuid4().hex[:8]}.copy"
            try:
                for left in cache.glob(f".{key}.*.copy"):  # of a process that was killed: nobody else holds the lock
                    shutil.rmtree(left, ignore_errors=True)
                partial.mkdir(parents=True)
                fs.copy_files(root, str(partial), source_filesystem=system, destination_filesystem=fs.LocalFileSystem())
                partial.rename(final)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except (ArrowException, OSError) as error:
        raise InputError(f"the clip store cannot be copied ({error})", where=str(source)) from None
    return final


def publish_store(store: Path, target: str) -> str:
    """Copy a finished store under `target` (a path or a URI) unless it is there, and return its place.

    The file that marks a store as finished goes last: nobody takes half a copy for a store.

    Raises:
        InputError: The place cannot be reached or written.
    """
    from pyarrow import ArrowException, fs

    folder, mark, query = target.partition("?") if "://" in target else (target, "", "")
    place = f"{folder.rstrip('/')}/{store.name}{mark}{query}"
    try:
        system, root = _place(place)
        if system.get_file_info(f"{root}/{STORE_FILE}").type == fs.FileType.File:
            return place
        system.create_dir(root, recursive=True)
        files = sorted(path for path in store.rglob("*") if path.is_file() and path.name != STORE_FILE)
        for file in [*files, store / STORE_FILE]:
            name = file.relative_to(store).as_posix()
            if "/" in name:
                system.create_dir(f"{root}/{name.rsplit('/', 1)[0]}", recursive=True)
            fs.copy_files(
                str(file), f"{root}/{name}", source_filesystem=fs.LocalFileSystem(), destination_filesystem=system
            )
    except (ArrowException, OSError) as error:
        raise InputError(f"the clip store cannot be copied there ({error})", where=place) from None
    return place


def _place(source: Path | str) -> tuple[FileSystem, str]:
    """Arrow's file system of a path or a URI, and the path in it."""
    from pyarrow import fs

    if "://" in str(source):
        system, root = fs.FileSystem.from_uri(str(source))
        return system, root.rstrip("/")
    return fs.LocalFileSystem(), str(Path(source).expanduser().absolute())


def _check_room(system: FileSystem, root: str, cache: Path, source: Path | str) -> None:
    from pyarrow import fs

    needed = sum(each.size or 0 for each in system.get_file_info(fs.FileSelector(root, recursive=True)))
    free = shutil.disk_usage(cache).free
    if free < needed + RESERVE:
        raise InputError(
            "the node's disk has no room for a copy of the clip store",
            where=cache,
            given=f"{free / 1e9:.2f} GB free",
            allowed=f"at least {(needed + RESERVE) / 1e9:.2f} GB",
            hint=f"AGRM_STUDY_LOCAL_STORE names a folder on a larger disk; the store is {source}.",
        )
