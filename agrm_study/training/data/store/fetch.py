"""Copying of clip stores between machines that have no shared disk or only a slow one.

The machine that builds a store publishes it to a location that all nodes can read (`publish_store`); each node
creates one local copy (`fetch_store`). Stores are named after a hash of their content, so an existing copy is valid if
its bytes match their checksums.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agrm_study.study.errors import InputError
from agrm_study.study.object_store import arrow_uri
from agrm_study.training.data.store.layout import STORE_FILE
from agrm_study.training.data.store.lock import locked
from agrm_study.training.data.store.verify import damaged_copy, is_sound_copy

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

RESERVE: Final = 64 << 20
"""Disk space that a copy keeps free on a node, in bytes."""
PIECE: Final = 16 << 20
"""Size of one copied piece, in bytes; a store consists of one large file or many small ones."""
STREAMS: Final = 8
"""Number of pieces copied concurrently; a single stream uses only a fraction of an object store's bandwidth."""

OnBytes = Callable[[int, int], None]
"""Progress callback: bytes copied so far, total bytes."""


def fetch_store(source: Path | str, cache: Path | str, on_bytes: OnBytes | None = None) -> Path:
    """Copy a finished store to this node, once and atomically, and return the local folder.

    Args:
        source: Folder of a finished store: a path, or a URI that Arrow can read (`s3://…`, `gs://…`).
        cache: Local folder of stores; an existing copy is verified and reused, or replaced if it is damaged.
        on_bytes: Progress callback; not called while another process makes the copy.

    Raises:
        InputError: If the source does not contain a finished store, contains a damaged store or cannot be reached, or
            the disk has too little free space.
    """
    from pyarrow import ArrowException, fs

    cache = Path(cache).expanduser().absolute()
    try:
        system, root = _place(source)
        key = root.rstrip("/").rsplit("/", 1)[-1]
        final = cache / key
        with locked(cache / f".{key}.lock"):
            if final.is_dir() and is_sound_copy(final):
                return final
            if system.get_file_info(f"{root}/{STORE_FILE}").type != fs.FileType.File:
                raise InputError("no finished clip store found", where=str(source))
            sizes = {file.path: file.size or 0 for file in _files(system, root)}
            _check_room(sum(sizes.values()), cache, source)
            partial = cache / f".{key}.{uuid.uuid4().hex[:8]}.copy"
            try:
                for left in cache.glob(f".{key}.*.copy"):  # left by a killed process; this process holds the lock
                    shutil.rmtree(left, ignore_errors=True)
                partial.mkdir(parents=True)
                _copy_all(system, root, sizes, partial, on_bytes or _ignore_progress)
                if damage := damaged_copy(partial):
                    hint = "If this recurs, delete the folder and rerun: `run` publishes the store again."
                    raise InputError(f"the copy of the clip store is damaged ({damage})", where=str(source), hint=hint)
                if os.path.lexists(final):
                    final.rename(cache / f".{key}.{uuid.uuid4().hex[:8]}.copy")
                partial.rename(final)
            finally:
                for left in cache.glob(f".{key}.*.copy"):
                    shutil.rmtree(left, ignore_errors=True)
    except (ArrowException, OSError) as error:
        raise InputError(f"the clip store cannot be copied ({error})", where=str(source)) from None
    return final


def publish_store(store: Path, target: str, on_bytes: OnBytes | None = None) -> str:
    """Copy a finished store into `target`, unless it already exists there, and return the location of the copy.

    The file that marks a store as finished is written last, so that a partial copy is never used as a store.

    Args:
        store: Folder of a finished store.
        target: Folder of stores: a path or a URI.
        on_bytes: Progress callback.

    Raises:
        InputError: If the target cannot be reached or written.
    """
    from pyarrow import ArrowException, fs

    folder, mark, query = target.partition("?") if "://" in target else (target, "", "")
    place = f"{folder.rstrip('/')}/{store.name}{mark}{query}"
    try:
        system, root = _place(place)
        if system.get_file_info(f"{root}/{STORE_FILE}").type == fs.FileType.File:
            return place
        local = isinstance(system, fs.LocalFileSystem)  # object stores do not need folders
        if local:
            system.create_dir(root, recursive=True)
        files = sorted(path for path in store.rglob("*") if path.is_file() and path.name != STORE_FILE)
        files.append(store / STORE_FILE)
        done, total = 0, sum(file.stat().st_size for file in files)
        for file in files:
            name = file.relative_to(store).as_posix()
            if local and "/" in name:
                system.create_dir(f"{root}/{name.rsplit('/', 1)[0]}", recursive=True)
            with file.open("rb") as content, system.open_output_stream(f"{root}/{name}") as copy:
                while piece := content.read(PIECE):
                    copy.write(piece)
                    done += len(piece)
                    (on_bytes or _ignore_progress)(done, total)
    except (ArrowException, OSError) as error:
        raise InputError(f"the clip store cannot be copied to this location ({error})", where=place) from None
    return place


def _place(source: Path | str) -> tuple[FileSystem, str]:
    """Arrow file system of a path or a URI, and the path within it."""
    from pyarrow import fs

    if "://" in str(source):
        system, root = fs.FileSystem.from_uri(arrow_uri(str(source)))
        return system, root.rstrip("/")
    return fs.LocalFileSystem(), str(Path(source).expanduser().absolute())


def _files(system: FileSystem, root: str) -> list[FileInfo]:
    from pyarrow import fs

    found = system.get_file_info(fs.FileSelector(root, recursive=True))
    return [each for each in found if each.type == fs.FileType.File]


def _check_room(needed: int, cache: Path, source: Path | str) -> None:
    free = shutil.disk_usage(cache).free
    if free < needed + RESERVE:
        raise InputError(
            "the node's disk has too little free space for a copy of the clip store",
            where=cache,
            given=f"{free / 1e9:.2f} GB free",
            allowed=f"at least {(needed + RESERVE) / 1e9:.2f} GB",
            hint=f"Set AGRM_STUDY_LOCAL_STORE to a folder on a larger disk; the store is {source}.",
        )


def _copy_all(system: FileSystem, root: str, sizes: Mapping[str, int], folder: Path, on_bytes: OnBytes) -> None:
    """Copy files into an existing folder, several pieces concurrently."""
    done, total = 0, sum(sizes.values())
    pool = ThreadPoolExecutor(STREAMS, thread_name_prefix="copy")
    try:
        for piece in as_completed([pool.submit(_copy, system, *piece) for piece in _pieces(root, sizes, folder)]):
            done += piece.result()
            on_bytes(done, total)
    finally:
        pool.shutdown(cancel_futures=True)


def _pieces(root: str, sizes: Mapping[str, int], folder: Path) -> Iterator[tuple[str, Path, int, int]]:
    """Create the target files, and yield the source file, target file, offset and length of each piece."""
    for file, size in sizes.items():
        copy = folder / file.removeprefix(root).lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
        for offset in range(0, size, PIECE):
            yield file, copy, offset, min(PIECE, size - offset)


def _copy(system: FileSystem, file: str, copy: Path, offset: int, length: int) -> int:
    """Copy one piece and return its length in bytes.

    Raises:
        OSError: If the file has been truncated, or cannot be read or written.
    """
    with system.open_input_file(file) as content, copy.open("rb+") as target:
        piece = memoryview(content.read_at(length, offset))
        if len(piece) != length:
            raise OSError(f"{file} changed during the copy")
        while piece:
            written = os.pwrite(target.fileno(), piece, offset)
            piece, offset = piece[written:], offset + written
    return length


def _ignore_progress(done: int, total: int) -> None:
    return None
