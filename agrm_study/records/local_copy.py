"""Local copy of results in an object store, used for reports; the output of a report is copied back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyarrow import fs

from agrm_study.records.evaluations import FILE as SET_FILE
from agrm_study.records.evaluations import evaluation_folders
from agrm_study.records.location import Location
from agrm_study.records.no_results import no_results
from agrm_study.records.schemas import SCHEMAS
from agrm_study.study.errors import InputError
from agrm_study.study.object_store import store_error_text
from agrm_study.study.temporary import temporary_folder

RECORDS = "records"
KEPT_TABLES = "parts/tables"
"""Stored output of user-defined tables."""
KEPT_FIGURES = "parts/figures"
"""Stored output of user-defined figures."""


@contextlib.contextmanager
def local_copy(results: str | Path) -> Iterator[Path]:
    """A results folder as local files: the folder itself, or a temporary copy of the files that a report reads.

    Raises:
        InputError: If the object store does not respond, or the folder contains no results.
    """
    location = Location.of(results)
    if location.is_local:
        yield Path(results) if "://" not in str(results) else Path(location.path)
        return
    with temporary_folder("results") as place:
        try:
            _fetch(location, place / location.name)
        except OSError as error:
            said = store_error_text(error) or str(error)
            raise InputError("the results must be readable", where=location.address, given=said) from None
        if not (place / location.name / "study.yaml").exists():
            raise no_results(location.address, "study.yaml")
        yield place / location.name


def _fetch(location: Location, folder: Path) -> None:
    folder.mkdir()
    for file in location.children():
        if "." in file.name and (content := file.read()) is not None:
            (folder / file.name).write_bytes(content)
    for place in (KEPT_TABLES, KEPT_FIGURES):
        for kept in (location / place).files(".json")[0]:
            (folder / place).mkdir(parents=True, exist_ok=True)
            (folder / place / kept.name).write_bytes(kept.read() or b"")
    _fetch_records(location, folder)
    for name, evaluated in evaluation_folders(location).items():
        (folder / name).mkdir(parents=True)
        (folder / name / SET_FILE).write_bytes((evaluated / SET_FILE).read() or b"")
        _fetch_records(evaluated, folder / name)


def _fetch_records(location: Location, folder: Path) -> None:
    records = location / RECORDS
    if records.exists():
        for kind in SCHEMAS:  # Arrow creates only folders that it lists; in Google Cloud Storage it lists none
            (folder / RECORDS / kind).mkdir(parents=True)
        fs.copy_files(
            records.path,
            str(folder / RECORDS),
            source_filesystem=location.filesystem,
            destination_filesystem=fs.LocalFileSystem(),
        )


def put_back(results: str | Path, folder: Path, files: Iterable[Path]) -> None:
    """Copies files from a local copy back to the results; has no effect for local results.

    Raises:
        OSError: If the object store rejects a request.
    """
    location = Location.of(results)
    if location.is_local:
        return
    for file in files:
        if file.is_relative_to(folder):
            (location / file.relative_to(folder).as_posix()).write_atomic(file.read_bytes())
