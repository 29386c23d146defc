"""How does a node get its own copy of a store that lies on shared or object storage?"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from agrm_study.study.errors import InputError
from agrm_study.training.data.store.layout import STORE_FILE
from agrm_study.training.data.store.lock import locked


def fetch_store(source: Path | str, cache: Path | str) -> Path:
    """A local copy of a finished store, made once a node, whole or not at all.

    Args:
        source: Folder of a finished store: a path, or a URI that Arrow can read (`s3://…`, `gs://…`).
        cache: Local folder of stores.

    Raises:
        InputError: There is no finished store at the source, or it cannot be reached.
    """
    from pyarrow import ArrowException, fs

    cache = Path(cache).absolute()
    try:
        system, root = fs.FileSystem.from_uri(str(source)) if "://" in str(source) else (
            fs.LocalFileSystem(), str(Path(source).absolute()))  # fmt: skip
        key = root.rstrip("/").rsplit("/", 1)[-1]
        final = cache / key
        with locked(cache / f".{key}.lock"):
            if (final / STORE_FILE).is_file():
                return final
            if system.get_file_info(f"{root}/{STORE_FILE}").type != fs.FileType.File:
                raise InputError("there is no finished clip store", where=str(source))
            partial = cache / f".{key}.{uuid.uuid4().hex[:8]}.copy"
            try:
                partial.mkdir(parents=True)
                fs.copy_files(root, str(partial), source_filesystem=system, destination_filesystem=fs.LocalFileSystem())
                partial.rename(final)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except (ArrowException, OSError) as error:
        raise InputError(f"the clip store cannot be copied ({error})", where=str(source)) from None
    return final
