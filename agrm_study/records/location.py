"""Location of a results folder, either in a local file system or in an object store."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from agrm_study.study.errors import InputError
from agrm_study.study.object_store import arrow_uri, user_of
from agrm_study.study.temporary import replacing


@dataclass(frozen=True, slots=True)
class Location:
    """A folder accessed through `pyarrow.fs`; one interface for ``/data/x``, ``s3://bucket/x`` and ``gs://bucket/x``.

    Attributes:
        filesystem: Arrow filesystem.
        path: Path of the folder in that filesystem, without a trailing slash.
        scheme: Scheme of an object store's URI (``s3``); empty for a local folder.
        query: Query of an object store's URI (``endpoint_override=…``).
        user: User of an object store's URI (``anonymous@``).
        anchor: A local folder that must exist (see `anchored`); empty if there is none.
    """

    filesystem: fs.FileSystem
    path: str
    scheme: str = ""
    query: str = ""
    user: str = ""
    anchor: str = ""

    @classmethod
    def of(cls, root: str | Path | Location) -> Location:
        """The location of a local path or a URI (``s3://…``, ``gs://…``, ``file://…``).

        A custom endpoint is specified by ``?endpoint_override=HOST:PORT&scheme=http`` or, for S3, by the environment
        variable ``AWS_ENDPOINT_URL``; anonymous access to Google Cloud Storage by ``gs://anonymous@bucket``.

        Raises:
            InputError: If the URI is malformed, contains credentials, or has an unknown scheme.
        """
        if isinstance(root, Location):
            return root
        if isinstance(root, str) and "://" in root:
            try:
                filesystem, path = fs.FileSystem.from_uri(arrow_uri(root))
            except (pa.ArrowException, OSError) as error:
                raise InputError(
                    "must be the path or URI of a folder",
                    given=root,
                    allowed="a path, s3://bucket/folder, gs://bucket/folder, file:///folder",
                    hint=f"{error}.",
                ) from None
            if isinstance(filesystem, fs.LocalFileSystem):
                return cls(filesystem, path.rstrip("/"))
            scheme, query = root.partition("://")[0], root.partition("?")[2]
            return cls(filesystem, path.rstrip("/"), scheme, query, user_of(root))
        return cls(fs.LocalFileSystem(), Path(root).expanduser().absolute().as_posix())

    @property
    def is_local(self) -> bool:
        """Whether the location is a local path, accessible with ordinary file operations."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def address(self) -> str:
        """The absolute path or URI; `of` maps it back to this location on any machine."""
        if self.is_local:
            return self.path
        return f"{self.scheme}://{self.user}{self.path}{'?' if self.query else ''}{self.query}"

    def anchored(self) -> Location:
        """This location with its folder, which must exist, as the anchor.

        If the folder is missing later, its disk was unmounted; writing then fails instead of recreating the folder.
        """
        return replace(self, anchor=self.path if self.is_local else "")

    def require_anchor(self) -> None:
        """Checks that the anchor folder still exists.

        Raises:
            OSError: If the folder is missing.
        """
        if self.anchor and not Path(self.anchor).is_dir():
            raise OSError(errno.ESTALE, "the storage with this folder is no longer available", self.anchor)

    def __truediv__(self, name: str) -> Location:
        return replace(self, path=f"{self.path}/{name}")

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rsplit("/", 1)[-1]

    def write_atomic(self, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Writes a file atomically: a reader sees either the old or the new content.

        A local file is written under a temporary name in the same folder, synced to disk if ``durable`` (to survive a
        power failure), and renamed. In an object store, a single put is atomic.

        Raises:
            OSError: If writing fails (storage full, read-only or unreachable); no temporary file is left.
        """
        if not self.is_local:
            with self.filesystem.open_output_stream(self.path) as stream:
                stream.write(data)
            return
        target = Path(self.path)
        try:
            self._replace(target, data, durable)
        except FileNotFoundError:
            self.require_anchor()
            target.parent.mkdir(parents=True, exist_ok=True)
            self._replace(target, data, durable)

    @staticmethod
    def _replace(target: Path, data: bytes | memoryview, durable: bool) -> None:
        with replacing(target, durable=durable) as stream:
            stream.write(data)

    def read(self) -> bytes | None:
        """Content of the file, or ``None`` if it does not exist.

        Raises:
            IsADirectoryError: If the path is a local folder.
            OSError: If reading fails.
        """
        try:
            with self.filesystem.open_input_stream(self.path) as stream:
                content: bytes = stream.readall()
        except (FileNotFoundError, NotADirectoryError):
            self.require_anchor()
            return None
        except OSError:
            if self.is_local and Path(self.path).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path) from None
            raise
        return content

    def exists(self) -> bool:
        """Whether a file or folder exists at this location."""
        if self.is_local:
            return Path(self.path).exists()
        return bool(self.filesystem.get_file_info(self.path).type != fs.FileType.NotFound)

    def stamp(self) -> tuple[int, int, int] | None:
        """Version stamp of the file: its inode (locally), modification time and size; None if absent."""
        if self.is_local:
            try:
                found = Path(self.path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            return found.st_ino, found.st_mtime_ns, found.st_size
        info = self.filesystem.get_file_info(self.path)
        return None if info.type == fs.FileType.NotFound else (0, info.mtime_ns or 0, info.size or 0)

    def set_aside(self) -> None:
        """Renames a local folder that occupies the path of a file, so that the file can be written."""
        folder = Path(self.path)
        names = (folder.with_name(f"{folder.name}.set-aside-{number}") for number in itertools.count(1))
        folder.rename(next(name for name in names if not name.exists()))

    def delete(self) -> None:
        """Removes the file if it exists."""
        with contextlib.suppress(FileNotFoundError):
            self.filesystem.delete_file(self.path)

    def delete_folder(self) -> None:
        """Removes the folder and its content if it exists."""
        try:
            self.filesystem.delete_dir(self.path)
        except OSError:  # Arrow reports a missing folder or marker only in the error text
            if self.exists():
                raise

    def mark(self) -> None:
        """Creates a folder marker in Google Cloud Storage, which has no folders, so `children` lists this folder."""
        if self.filesystem.type_name != "gcs":
            return
        parts = self.path.split("/")
        for end in range(2, len(parts) + 1):  # recursive creation needs permission to read the bucket's settings
            self.filesystem.create_dir("/".join(parts[:end]), recursive=False)

    def children(self, suffix: str = "") -> list[Location]:
        """Visible files and folders in this folder, sorted by name; empty if the folder does not exist.

        In Google Cloud Storage, only marked folders are listed (`mark`).
        """
        return [self / name for name in self._entries(suffix)]

    def files(self, suffix: str = "") -> tuple[list[Location], dict[str, str]]:
        """Visible files in this folder, sorted by name, and other entries with a matching name: path → description."""
        found, others = [], {}
        for name, is_file in self._entries(suffix).items():
            child = self / name
            if is_file:
                found.append(child)
            elif self.is_local and Path(child.path).is_symlink() and not child.exists():
                others[child.path] = "is a link to a file that does not exist"
            elif child.exists():
                others[child.path] = "is a folder, not a file"
        return found, others

    def _entries(self, suffix: str) -> dict[str, bool]:
        """Visible names in sorted order, mapped to whether each is a file."""
        if self.is_local:
            try:
                names = {entry.name: entry.is_file() for entry in os.scandir(self.path)}
            except (FileNotFoundError, NotADirectoryError):
                return {}
        else:
            selector = fs.FileSelector(self.path, allow_not_found=True)
            infos = self.filesystem.get_file_info(selector)
            names = {info.base_name: info.type == fs.FileType.File for info in infos}
        return {n: names[n] for n in sorted(names) if n.endswith(suffix) and not n.startswith(".")}
